"""The zoo and the tokenizers from the command line.

    python -m mechlib list
    python -m mechlib train NAME [NAME ...] [--device cpu|cuda] [--no-progress] [--fresh]
    python -m mechlib verify [NAME ...]
    python -m mechlib refresh NAME [NAME ...]        # store again, as the recipe says today
    python -m mechlib check-training [NAME ...]      # train again into nowhere: do the claims hold?
    python -m mechlib corpus                         # the real code of most chapters from 4 on
    python -m mechlib tokenizers
    python -m mechlib gpt2 FOLDER                    # a GPT-2 of your own beside what is published
    python -m mechlib --version

Exit codes: 0 all is well; 1 a claim does not hold or a file is damaged; 2 a mistake in what was
asked for.
"""

import argparse
import sys

import mechlib


def main(argv: list[str] | None = None) -> int:
    """Run one command and give its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # "✓" on a console that knows no UTF-8
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except (KeyError, FileNotFoundError) as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 1
    except (AssertionError, ArithmeticError, ValueError, RuntimeError, OSError) as error:
        return _say(error, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mechlib", description="The course's trained models.")
    parser.add_argument("--version", action="version", version=f"mechlib {mechlib.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="every model, and whether it is stored here")
    command.set_defaults(command=_list)

    command = commands.add_parser("train", help="make models anew and check their claims")
    command.add_argument("names", nargs="+", metavar="NAME")
    command.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda if there is one")
    command.add_argument("--no-progress", action="store_true", help="no progress bar")
    command.add_argument("--fresh", action="store_true", help="do not go on from a checkpoint")
    command.add_argument("--into", metavar="FOLDER", help="store there, not in the zoo")
    command.set_defaults(command=_train)

    command = commands.add_parser("verify", help="check digests and claims of stored models")
    command.add_argument("names", nargs="*", metavar="NAME", help="default: all that are stored")
    command.add_argument("--all", action="store_true", help="all that are stored")
    command.set_defaults(command=_verify)

    command = commands.add_parser("refresh", help="store models again, as their recipes say today")
    command.add_argument("names", nargs="+", metavar="NAME")
    command.set_defaults(command=_refresh)

    command = commands.add_parser(
        "check-training", help="train again, without storing, and check the claims"
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="default: all under --minutes")
    command.add_argument(
        "--minutes", type=float, default=5.0, help="leave out what took longer (default 5)"
    )
    command.set_defaults(command=_check_training)

    command = commands.add_parser(
        "corpus", help="fetch the real code that chapters read, beside the installed packages"
    )
    command.set_defaults(command=_corpus)

    command = commands.add_parser("tokenizers", help="train the stored tokenizers anew")
    command.set_defaults(command=_tokenizers)

    command = commands.add_parser(
        "gpt2", help="chapter 20's probes on a folder with GPT-2's weights, in the hub's format"
    )
    command.add_argument("folder", metavar="FOLDER")
    command.add_argument("--texts", type=int, default=64, help="for each sentence (default 64)")
    command.set_defaults(command=_gpt2)
    return parser


def _list(arguments) -> int:
    from mechlib import zoo

    here, recipes = set(zoo.stored()), zoo.registry()
    width = max([len(name) for name in zoo.names()], default=0)
    for name in zoo.names():
        mark = "stored" if name in here else "  -   "
        summary = recipes[name].summary if name in recipes else "(no recipe)"
        print(f"{name:<{width}}  {mark}  {summary}")
    return 0


def _train(arguments) -> int:
    from mechlib import zoo

    for name in arguments.names:  # a typing error in the last name must not cost the first's hour
        zoo.find(name)
    code = 0
    for name in arguments.names:
        print(f"{name}: {zoo.find(name).summary}")
        try:
            records = zoo.train(
                name,
                device=arguments.device,
                progress=not arguments.no_progress,
                fresh=arguments.fresh,
                into=arguments.into,
            )
            print(f"{name}: stored; {len(records)} claims hold")
        except (AssertionError, ArithmeticError) as error:
            code = _say(error, 1)
    return code


def _verify(arguments) -> int:
    from mechlib import zoo

    code, stored = 0, zoo.stored()
    for name in arguments.names:
        if name not in stored:
            zoo.info(name)  # raises, and says what is near
    for name in arguments.names or zoo.stored():
        try:
            records = zoo.verify(name, quiet=False)
        except (ValueError, FileNotFoundError) as error:
            code = _say(error, 1)
            continue
        failed = sum(not record["holds"] for record in records)
        code = 1 if failed else code
        print(f"{name}: digests right; {len(records) - failed} of {len(records)} claims hold")
    return code


def _refresh(arguments) -> int:
    from mechlib import zoo

    code = 0
    for name in arguments.names:
        try:
            print(f"{name}: stored again; {len(zoo.refresh(name))} claims hold")
        except (AssertionError, ValueError) as error:
            code = _say(error, 1)
    return code


def _check_training(arguments) -> int:
    from mechlib import zoo

    code = 0
    for name in arguments.names or zoo.trained_within(60 * arguments.minutes):
        try:
            print(f"{name}: trained again; {len(zoo.check_training(name))} claims hold", flush=True)
        except (AssertionError, ArithmeticError) as error:
            code = _say(error, 1)
    return code


def _corpus(arguments) -> int:
    from mechlib.text import tokens

    for name, path in tokens.fetch_code_tokens().items():
        print(f"{name}: {path.stat().st_size / 1e6:.0f} MB in {path}")
    return 0


def _tokenizers(arguments) -> int:
    from mechlib.text import tokens

    for name in tokens.SIZES:
        tokenizer = tokens.train_tokenizer(name)
        print(f"{name}: {len(tokenizer)} tokens, stored")
    return 0


def _gpt2(arguments) -> int:
    from mechlib import published

    print("\n".join(published.report(arguments.folder, arguments.texts)))
    return 0


def _say(error: Exception, code: int) -> int:
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    print(f"mechlib: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Links to the repository, and buttons that open a chapter in a hub, once there is an address.

The address stands in one place, `repository: url:` of _config.yml. While it is empty the pages have
neither, for a link that leads nowhere is worse than none.
"""

import re

from sphinx.errors import ConfigError

HUB = "https://mybinder.org"  # reads the folder binder/
COLAB = "https://colab.research.google.com"  # opens notebooks of GitHub only
ISSUES = ("github.com", "gitlab.com")  # where the theme knows how a page's source is addressed


def follow(app, config) -> None:
    """Turn on what the address allows. ConfigError when it is none."""
    options = config.html_theme_options
    address = (options.get("repository_url") or "").strip().removesuffix("/")
    if not address:
        return
    found = re.fullmatch(r"https://([\w.-]+)/[\w.-]+/[\w.-]+", address)
    if not found:
        raise ConfigError(
            f"repository: url: in _config.yml is {address!r}; it must be empty or an address such "
            "as https://github.com/OWNER/NAME"
        )
    host = found[1]
    options["repository_url"] = address
    if not any(known in host for known in ("github", "gitlab", "bitbucket")):
        options["repository_provider"] = "gitlab"  # the theme wants a kind: it gives the icon
    options["use_repository_button"] = True
    options["use_source_button"] = options["use_issues_button"] = host in ISSUES
    options["launch_buttons"] = {
        "notebook_interface": "jupyterlab",
        "binderhub_url": HUB,
        "colab_url": COLAB if host == "github.com" else "",
    }


def setup(app) -> dict:
    """Sphinx's hook."""
    app.connect("config-inited", follow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

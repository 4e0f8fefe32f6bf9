"""How the notebooks' test starts kernels."""

import socket

import pytest
from jupyter_client.manager import KernelManager
from nbval import kernel

HERE = {"kernel_name": kernel.CURRENT_ENV_KERNEL_NAME}


@pytest.fixture
def taken_ports(monkeypatch):
    """How many of the next kernels shall find that another program took their port."""
    spoil = {"left": 0}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))

        class Manager(KernelManager):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                if spoil["left"]:
                    spoil["left"] -= 1
                    self.cache_ports = False  # as named, not as picked
                    self.shell_port = other.getsockname()[1]

        monkeypatch.setattr(kernel, "KernelManager", Manager)
        yield spoil


def test_a_kernel_whose_port_was_taken_is_started_again_with_figures_inline(
    taken_ports, monkeypatch
):
    monkeypatch.setenv("MPLBACKEND", "agg")  # as some machines have it
    taken_ports["left"] = 1
    manager, client = kernel.start_new_kernel(**HERE)
    try:
        asked = "import os; assert os.environ['MPLBACKEND'].endswith('backend_inline')"
        reply = client.execute_interactive(asked, timeout=60)
        assert reply["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert taken_ports["left"] == 0


def test_after_three_tries_the_error_is_shown(monkeypatch):
    tried = []

    def dead(**kwargs):
        tried.append(kwargs)
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(kernel, "KernelManager", dead)
    with pytest.raises(RuntimeError, match="Kernel died"):
        kernel.start_new_kernel(**HERE)
    assert len(tried) == 3

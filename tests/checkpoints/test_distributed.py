"""Folders of distributed checkpoints."""

from __future__ import annotations

import pytest
import torch

from lipforcing.checkpoints.distributed import read_distributed
from lipforcing.checkpoints.files import open_tensors
from lipforcing.errors import InputError


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_distributed_folder(tmp_path):
    import torch.distributed.checkpoint as dcp

    state = {"net": {"w": torch.arange(12.0).view(3, 4), "b": torch.ones(2, dtype=torch.bfloat16)}, "step": 5}
    dcp.save(state, checkpoint_id=tmp_path / "a.net_model")
    file = open_tensors(tmp_path / "a.net_model")
    assert file.format == "distributed"
    assert torch.equal(file["net.w"], state["net"]["w"]) and torch.equal(file["net.b"], state["net"]["b"])
    assert torch.equal(file.rows("net.w", 1, 3), state["net"]["w"][1:3])
    # The trainer's folder beside a student file that was not consolidated.
    assert set(open_tensors(tmp_path / "a.pth")) == {"net.w", "net.b"}
    (tmp_path / "a.net_model" / "__0_0.distcp").unlink()
    with pytest.raises(InputError, match="incomplete"):
        open_tensors(tmp_path / "a.net_model")


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_places_are_those_of_the_pieces(tmp_path):
    """Nothing is read but the list: a tensor's place is in the file that has its piece."""
    import torch.distributed.checkpoint as dcp

    dcp.save({"w": torch.arange(6.0).view(2, 3)}, checkpoint_id=tmp_path / "a")
    (tensor,) = read_distributed(tmp_path / "a").values()
    ((corner, piece),) = tensor.pieces
    assert corner == (0, 0) and tensor.spec.shape == piece.spec.shape == (2, 3)
    assert piece.file.path.parent == tmp_path / "a" and piece.file.path.suffix == ".distcp"
    assert torch.equal(piece.map(), torch.arange(6.0).view(2, 3))

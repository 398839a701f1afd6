"""Models as members of a deep ensemble: sequences in, one number per mark and member out."""

from .dataloader import parse_dataloader_args
from .ensemble import Ensemble
from .member import Description, Member

__all__ = ["Description", "Ensemble", "Member", "parse_dataloader_args"]

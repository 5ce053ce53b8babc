from .catalog import (
    CatalogEntry as CatalogEntry,
    catalog_entry as catalog_entry,
    catalog_names as catalog_names,
)
from .errors import Refused as Refused
from .load import is_at_hand as is_at_hand, load_network as load_network, resolve_network as resolve_network
from .native import read_meta as read_meta, save_network as save_network
from .network_file import Networks as Networks, differences as differences
from .run_checkpoint import ARCHITECTURE as ARCHITECTURE
from .settings import PretrainedSettings as PretrainedSettings
from .state_dicts import load_matching as load_matching, read_state_dict as read_state_dict
from .tensors import as_tensor as as_tensor
from .torchfile import (
    ZIP_MAGIC as ZIP_MAGIC,
    is_legacy as is_legacy,
    open_buffer as open_buffer,
    read_legacy as read_legacy,
    read_zip as read_zip,
)

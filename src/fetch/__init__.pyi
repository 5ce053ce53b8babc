from .remote_file import RemoteFile as RemoteFile, Sha256 as Sha256
from .transfer import Patience as Patience
from .weights_folder import DEFAULT_FOLDER as DEFAULT_FOLDER, WeightsFolder as WeightsFolder

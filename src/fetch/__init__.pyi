from .remote_file import RemoteFile as RemoteFile
from .transfer import Patience as Patience
from .weights_folder import DEFAULT_FOLDER as DEFAULT_FOLDER, WeightsFolder as WeightsFolder

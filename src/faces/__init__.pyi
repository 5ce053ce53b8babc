from .align import AlignedFace as AlignedFace, Frame as Frame, align_face as align_face, ffhq_quad as ffhq_quad
from .detectors import open_detector as open_detector
from .dlib_landmarks import DlibLandmarks as DlibLandmarks
from .face import Face as Face, LandmarkProvider as LandmarkProvider
from .fan_landmarks import FaceAlignmentLandmarks as FaceAlignmentLandmarks
from .find import (
    FoundFace as FoundFace,
    PhotoReport as PhotoReport,
    find_faces as find_faces,
    readable as readable,
)
from .landmarks import (
    FileLandmarks as FileLandmarks,
    open_landmarks as open_landmarks,
)
from .network_landmarks import (
    MAX_DISAGREEMENT as MAX_DISAGREEMENT,
    MIRRORED as MIRRORED,
    NetworkLandmarks as NetworkLandmarks,
    predict_landmarks as predict_landmarks,
)
from .paste import paste_back as paste_back
from .photos import open_photos as open_photos, picture_names as picture_names
from .recognisers import FaceRecogniser as FaceRecogniser, open_recogniser as open_recogniser
from .settings import FaceSettings as FaceSettings
from .strips import strip_tiles as strip_tiles

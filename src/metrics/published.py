"""The weight files behind FID and LPIPS: where they are published, and their sha256.

FID numbers are comparable only between equal weights, so each file is pinned; the sha256 travels with every number.
"""

from ..fetch import RemoteFile

#: The FID network of 2015-12-05, converted from TensorFlow's graph; one file under two names.
INCEPTION = RemoteFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    urls=(
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    ),
    licence="Apache-2.0",
    size=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
#: The same network as TorchScript. Nobody publishes its sha256, so the user has to give it (see `metrics.torchscript`).
INCEPTION_NVIDIA = RemoteFile(
    name="inception-2015-12-05.pt",
    urls=("https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",),
    licence="Apache-2.0 for the network, from TensorFlow; NVIDIA states none for its file",
)
#: DINOv2's ViT-L/14. Nobody publishes its sha256; that of the file at hand travels with numbers.
DINOV2 = RemoteFile(
    name="dinov2_vitl14_pretrain.pth",
    urls=("https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",),
    licence="Apache-2.0",
)
#: ImageNet classification, from torchvision.
VGG16 = RemoteFile(
    name="vgg16-397923af.pth",
    urls=("https://download.pytorch.org/models/vgg16-397923af.pth",),
    licence="BSD-3-Clause (torchvision); trained on ImageNet",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)
#: LPIPS v0.1: weights of VGG16's channels, fitted to human judgements.
LPIPS_VGG = RemoteFile(
    name="lpips-v0.1-vgg.pth",
    urls=("https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth",),
    licence="BSD-2-Clause",
    size=7289,
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
)

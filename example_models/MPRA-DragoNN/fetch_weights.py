"""Put MPRA-DragoNN's weights beside its model.yaml: from the URLs in Kipoi's model zoo, or copied from a folder."""

import argparse
import shutil
from pathlib import Path

from kipoi.specs import RemoteFile

HERE = Path(__file__).resolve().parent
BASE = "https://github.com/kundajelab/mpra_minimal/raw/87197541b/kipoi/ConvModel/"
MD5 = {"model.json": "930692182c3fcbb4483115fa4ac386f8", "pretrained.hdf5": "19fb17f943c3d6bcada8c5dc638092b4"}


def fetch(folder=None):
    """Copy both files from `folder`, or download them; a file whose MD5 is already right is left as it is."""
    for name, md5 in MD5.items():
        remote, target = RemoteFile(url=BASE + name, md5=md5), HERE / name
        if target.exists() and remote.validate(str(target)):
            continue
        if folder:
            shutil.copyfile(Path(folder, name), target)
        else:
            remote.get_file(str(target))
        if not remote.validate(str(target)):
            target.unlink()
            raise SystemExit(f"{name}: its MD5 is not {md5}, the one in Kipoi's model zoo")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="folder", help="folder that holds model.json and pretrained.hdf5")
    fetch(parser.parse_args().folder)

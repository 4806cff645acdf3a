"""gRPC by grpc-go, and its server by grpc-python: `grpc_go_client.py PORT`."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

subprocess.run([os.environ["GRPC_GO"], "call", sys.argv[1]], check=True)
subprocess.run([sys.executable, HERE / "grpc_client.py", sys.argv[1]], check=True)

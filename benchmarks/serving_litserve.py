"""The pipeline served by LitServe: `python -m benchmarks.serving_litserve --port 8001`.

Images are sent as base64 in JSON, as in the examples of LitServe: it cannot pass raw bodies to its workers.
"""

import argparse
import base64

import litserve
from fastapi import Request, Response

from benchmarks.serving_app import answering, threads_each, workers


class Segment(litserve.LitAPI):  # type: ignore[misc]
    """POST /predict: {"image": base64}."""

    def setup(self, device: str) -> None:
        """Start the engine; called once in each worker."""
        self.answer = answering(threads_each())

    def decode_request(self, request: Request) -> bytes:
        """The image of a request. LitServe passes the JSON of the request."""
        return base64.b64decode(request["image"])

    def predict(self, x: bytes) -> bytes:
        """The answer's JSON."""
        return self.answer(x)

    def encode_response(self, output: bytes) -> Response:
        """Wrap the JSON in a response without changes."""
        return Response(output, media_type="application/json")


def main() -> None:
    """Serve until the process is terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    server = litserve.LitServer(Segment(), accelerator="cpu", workers_per_device=workers(), timeout=120)
    server.run(host="127.0.0.1", port=arguments.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()

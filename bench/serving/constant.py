"""The floor to compare with: plain Flask answering a constant JSON."""

from flask import Flask, Response

app = Flask(__name__)
ANSWER = b'{"predictions":[{"label":"7"}]}'


@app.post("/predict")
def predict() -> Response:
    return Response(ANSWER, content_type="application/json")

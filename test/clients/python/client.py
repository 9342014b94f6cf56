"""What a program does with the Python SDK, over HTTP and over its Responses socket: says what it saw as JSON lines; the test judges."""

import json
import sys

import openai


def say(step, **what):
    print(json.dumps({"step": step, **what}, ensure_ascii=False), flush=True)


def failure(work):
    try:
        work()
    except openai.APIError as error:
        status = getattr(error, "status_code", None)
        say_what = {"thrown": type(error).__name__, "status": status, "code": error.code}
        return say_what
    return {"thrown": "nothing"}


client = openai.OpenAI(api_key="any", base_url=sys.argv[1], max_retries=0)
prompt = "@echo größer 日本 🙂"
messages = [{"role": "user", "content": prompt}]

whole = client.responses.create(model="demo", input=prompt)
say("response", text=whole.output_text, status=whole.status)

text = ""
last = ""
for event in client.responses.create(model="demo", input=prompt, stream=True):
    last = event.type
    if event.type == "response.output_text.delta":
        text += event.delta
say("response stream", text=text, last=last)

text = ""
tokens = 0
options = {"include_usage": True}
for chunk in client.chat.completions.create(
    model="demo", messages=messages, stream=True, stream_options=options
):
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
    if chunk.usage:
        tokens = chunk.usage.completion_tokens
say("completion stream", text=text, tokens=tokens)

refused = failure(lambda: client.chat.completions.create(model="gpt-9", messages=messages))
say("refused", **refused)
broken = [{"role": "user", "content": "@fault reset-after=3"}]
say(
    "broken",
    **failure(
        lambda: list(client.chat.completions.create(model="demo", messages=broken, stream=True))
    ),
)

with client.responses.connect() as connection:
    previous = None
    for number in range(2):
        connection.response.create(
            model="demo", input=f"@echo turn {number} größer", previous_response_id=previous
        )
        text = ""
        for event in connection:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                previous = event.response.id
                break
        say(f"socket {number}", text=text)

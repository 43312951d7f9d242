"""The official OpenAI SDK for Python against a running demo."""

import base64
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import openai

BASE_URL = os.environ["BASE_URL"]


def client(**options):
    return openai.OpenAI(base_url=BASE_URL, api_key=options.pop("api_key", "sk-test"), max_retries=0, **options)


def user(text):
    return {"role": "user", "content": text}


class Chat(unittest.TestCase):
    def test_whole_answer(self):
        answer = client().chat.completions.create(model="grok-4.2", messages=[user("hello python")])
        self.assertEqual(answer.choices[0].message.content, 'Answer 1: you said "hello python".')
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertGreater(answer.usage.total_tokens, 0)
        self.assertTrue(answer.conversation_id.startswith("conv-"))

    def test_streamed_answer_with_usage(self):
        stream = client().chat.completions.create(
            model="grok-4.2", stream=True, stream_options={"include_usage": True}, messages=[user("hello stream")]
        )
        chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, 'Answer 1: you said "hello stream".')
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)

    def test_conversation_goes_on_natively_from_the_history(self):
        messages = []
        for turn, question in enumerate(["one apple", "two pears", "three plums"]):
            raw = client().chat.completions.with_raw_response.create(model="grok-4.2", messages=[*messages, user(question)])
            answer = raw.parse().choices[0].message.content
            self.assertEqual(raw.headers["x-grok2api-turn"], "native" if turn else "new")
            messages += [user(question), {"role": "assistant", "content": answer}]
        recited = client().chat.completions.create(model="grok-4.2", messages=[*messages, user("recite")])
        self.assertIn('assistant: Answer 2: you said "two pears".', recited.choices[0].message.content)

    def test_conversation_goes_on_by_id(self):
        first = client().chat.completions.create(model="grok-4.2", messages=[user("a secret word: kiwi")])
        second = client().chat.completions.create(
            model="grok-4.2", messages=[user("recite")], extra_body={"conversation_id": first.conversation_id}
        )
        self.assertIn("a secret word: kiwi", second.choices[0].message.content)

    def test_models(self):
        ids = [model.id for model in client().models.list()]
        for wanted in ["grok-3", "grok-3-mini", "grok-4.2", "grok-4.2-fast", "grok-expert"]:
            self.assertIn(wanted, ids)
        self.assertEqual(client().models.retrieve("grok-4.2").id, "grok-4.2")


class Errors(unittest.TestCase):
    def assert_error(self, kind, code, call):
        with self.assertRaises(kind) as caught:
            call()
        self.assertEqual(caught.exception.code, code)
        self.assertTrue(caught.exception.response.headers["x-request-id"])
        return caught.exception

    def test_400(self):
        self.assert_error(
            openai.BadRequestError, "unsupported_content",
            lambda: client().chat.completions.create(
                model="grok-4.2", messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]
            ),
        )

    def test_401(self):
        self.assert_error(openai.AuthenticationError, "invalid_api_key", lambda: client(api_key="sk-wrong").models.list())

    def test_404(self):
        self.assert_error(openai.NotFoundError, "model_not_found", lambda: client().models.retrieve("gpt-9"))
        self.assert_error(
            openai.NotFoundError, "conversation_not_found",
            lambda: client().chat.completions.create(
                model="grok-4.2", messages=[user("x")], extra_body={"conversation_id": "conv-nobody"}
            ),
        )

    def test_400_without_conversation(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().post("/responses", cast_to=object, body={"message": "x", "model": "grok-4.2"})
        self.assertEqual(caught.exception.code, "missing_conversation_id")


def script(reply):
    """Every account of the demo's upstream answers with `reply` from now on."""
    for account in ["demo-anna", "demo-bert", "demo-cleo"]:
        request = urllib.request.Request(
            f"{os.environ['UPSTREAM_URL']}/__simulator/accounts/{account}/reply",
            json.dumps({**reply, "sticky": True}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).read()


def upstream(path):
    with urllib.request.urlopen(f"{os.environ['UPSTREAM_URL']}/__simulator{path}") as answer:
        return json.load(answer)


class Admin:
    """The admin API of the demo."""

    def __init__(self):
        self.base = BASE_URL.removesuffix("/v1") + "/admin/api/v1"
        self.cookie = None
        self.cookie = self.call("POST", "/session", {"username": "admin", "password": "admin"}, whole=True)

    def call(self, method, path, body=None, whole=False):
        headers = {"Content-Type": "application/json", "X-Requested-With": "console", "If-Match": "*"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            if whole:
                return answer.headers["Set-Cookie"].split(";")[0]
            text = answer.read()
            return json.loads(text) if text else None


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class Pictures(http.server.BaseHTTPRequestHandler):
    """A web server with one picture; what it says of its type is wrong."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(GIF)))
        self.end_headers()
        self.wfile.write(GIF)

    def log_message(self, *_):
        pass


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.admin = Admin()
        cls.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
        threading.Thread(target=cls.web.serve_forever, daemon=True).start()
        cls.url = f"http://127.0.0.1:{cls.web.server_port}/picture?signature=1"
        # Addresses of this machine are refused unless the operator allows them.
        cls.admin.call("PATCH", "/settings", {"image_url_allow": ["127.0.0.1"]})

    @classmethod
    def tearDownClass(cls):
        script({"name": "default"})
        cls.web.shutdown()
        cls.admin.call("PATCH", "/settings", {"image_url_allow": []})

    def shown(self, text, url):
        return {
            "role": "user",
            "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}],
        }

    def ask(self, messages):
        raw = client().chat.completions.with_raw_response.create(model="grok-4.2", messages=messages)
        return raw.parse().choices[0].message.content, raw.headers

    def uploaded(self):
        newest = upstream("/uploads")[-1]
        return newest["account"], newest["content_type"], base64.b64decode(newest["content"])

    def load(self, answer):
        link = re.search(r"!\[[^]]*\]\((http[^)]*/images/[^)]*)\)", answer).group(1)
        with urllib.request.urlopen(link) as picture:
            self.assertEqual(picture.headers["Content-Type"], "image/jpeg")
            self.assertEqual(picture.read()[:3], b"\xff\xd8\xff")
        return link

    def test_a_picture_by_data_uri_and_by_url_arrives_as_it_is(self):
        data_uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
        self.ask([self.shown("what is this?", data_uri)])
        self.assertEqual(self.uploaded()[1:], ("image/png", PNG))
        self.ask([self.shown("what is this?", self.url)])
        self.assertEqual(self.uploaded()[1:], ("image/gif", GIF))

    def test_a_private_address_is_a_bad_request_that_names_the_part(self):
        for url in ["http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://10.0.0.1/a.png"]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.ask([user("hi"), self.shown("what is this?", url)])
            self.assertEqual(caught.exception.code, "invalid_image_url")
            self.assertEqual(caught.exception.param, "messages[1].content[1].image_url.url")

    def test_pictures_in_both_directions_after_the_account_has_changed(self):
        script({"name": "image"})
        first = self.shown("draw this as a kite", self.url)
        answer, headers = self.ask([first])
        owner = self.uploaded()[0]
        link = self.load(answer)
        account = self.admin.call("GET", f"/images?request_id={headers['x-request-id']}")["items"][0]["account_id"]
        self.admin.call("PATCH", f"/accounts/{account}", {"enabled": False})
        try:
            second, headers = self.ask([first, {"role": "assistant", "content": answer}, self.shown("and this", self.url)])
            self.assertIn(headers["x-grok2api-turn"], ["moved", "replayed"])
            other, kind, content = self.uploaded()
            self.assertNotEqual(other, owner)
            self.assertEqual((kind, content), ("image/gif", GIF))
            self.assertNotEqual(self.load(second), link)
            self.load(answer)
        finally:
            self.admin.call("PATCH", f"/accounts/{account}", {"enabled": True})


class UpstreamErrors(unittest.TestCase):
    """In this order, because the last one leaves every account resting."""

    def tearDown(self):
        script({"name": "default"})

    def ask(self, **options):
        return client().chat.completions.create(model="grok-4.2", messages=[user("x")], **options)

    def test_1_bad_gateway(self):
        script({"status": 500, "content_type": "application/json", "body": '{"error":{"code":13,"message":"Internal error"}}'})
        with self.assertRaises(openai.InternalServerError) as caught:
            self.ask()
        self.assertEqual((caught.exception.status_code, caught.exception.code), (502, "upstream_error"))

    def test_2_broken_stream_is_an_error_and_not_an_answer(self):
        script({"name": "cut-for-good"})
        with self.assertRaises(openai.APIError):
            for _ in self.ask(stream=True):
                pass

    def test_3_exit_refused(self):
        script({"name": "challenge"})
        with self.assertRaises(openai.InternalServerError) as caught:
            self.ask()
        self.assertEqual((caught.exception.status_code, caught.exception.code), (503, "exit_refused"))

    def test_4_rate_limited(self):
        limited = {"status": 429, "content_type": "application/json", "body": '{"error":{"code":8,"message":"Too many requests"}}'}
        script(limited)
        for _ in range(4):
            with self.assertRaises(openai.RateLimitError) as caught:
                self.ask()
        self.assertEqual(caught.exception.code, "no_account_available")
        self.assertIn("rate limit", caught.exception.message)
        self.assertGreater(int(caught.exception.response.headers["retry-after"]), 120)


class Readme(unittest.TestCase):
    def test_python_example_runs_as_written(self):
        for name in ["README", "README_ZH"]:
            with open(os.environ[name], encoding="utf-8") as page:
                text = page.read()
            code = re.search(r"```python\n(.*?)```", text, re.S).group(1).replace("http://127.0.0.1:8000/v1", BASE_URL)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout), (0, 'Answer 1: you said "hello".\n'), done.stderr)

    def test_curl_example_runs_as_written(self):
        for name in ["README", "README_ZH"]:
            with open(os.environ[name], encoding="utf-8") as page:
                text = page.read()
            code = re.search(r"```bash\n(curl .*?chat/completions.*?)```", text, re.S).group(1)
            code = code.replace("http://127.0.0.1:8000/v1", BASE_URL)
            done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60)
            self.assertIn('"object":"chat.completion"', done.stdout.replace(" ", ""), done.stderr)


class Operations(unittest.TestCase):
    """The scripts of docs/OPERATIONS.md, as written but for the token, the address and the request."""

    def run_script(self, marker, **replaced):
        with open(os.environ["OPERATIONS"], encoding="utf-8") as page:
            blocks = re.findall(r"```bash\n(.*?)```", page.read(), re.S)
        setting = next(block for block in blocks if 'A="Authorization: Bearer' in block).splitlines()[0]
        code = next(block for block in blocks if marker in block)
        if setting not in code:
            code = f"{setting}\n{code}"
        admin = Admin()
        token = admin.call("POST", "/tokens", {"name": f"script {time.time_ns()}", "scopes": ["all"]})["token"]
        for old, new in {"adm_…": token, "http://127.0.0.1:8000": BASE_URL.removesuffix("/v1"), **replaced}.items():
            self.assertIn(old, code)
            code = code.replace(old, new)
        with tempfile.TemporaryDirectory() as directory:
            with open(f"{directory}/tokens.txt", "w") as file:
                file.write("sso=script-one\nscript-two\nscript-two\nthis is no token\n")
            done = subprocess.run(["bash", "-euc", code], capture_output=True, text=True, timeout=60, cwd=directory)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_file_is_imported_and_what_failed_is_told(self):
        output = self.run_script("imports/preview")
        self.assertEqual(output.splitlines()[-1].split("\t")[:2], ["4", "unreadable"], output)
        labels = [one["state"]["name"] for one in Admin().call("GET", "/accounts?limit=100")["items"]]
        self.assertEqual(len(labels), 5, "the three of the demo and two new ones")

    def test_why_a_request_failed(self):
        script({"status": 400, "content_type": "application/json", "body": '{"error":{"code":3,"message":"Bad request"}}'})
        try:
            with self.assertRaises(openai.BadRequestError) as caught:
                client().chat.completions.create(model="grok-4.2", messages=[user("x")])
        finally:
            script({"name": "default"})
        time.sleep(0.5)
        told = json.loads(self.run_script("why did this request fail?", **{"req-9f31c2": caught.exception.response.headers["x-request-id"]}))
        self.assertEqual([one["outcome"] for one in told["attempts"]], ["rejected_bad_request"], told)
        self.assertIn("rejected_bad_request", told["cause"]["message"])


if __name__ == "__main__":
    unittest.main()

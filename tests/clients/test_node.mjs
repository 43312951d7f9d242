// The official OpenAI SDK for Node against a running demo.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";

import OpenAI from "openai";

const baseURL = process.env.BASE_URL;
const client = (apiKey = "sk-test") => new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const user = (content) => ({ role: "user", content });

test("whole answer", async () => {
  const answer = await client().chat.completions.create({ model: "grok-4.2", messages: [user("hello node")] });
  assert.equal(answer.choices[0].message.content, 'Answer 1: you said "hello node".');
  assert.ok(answer.usage.total_tokens > 0);
});

test("streamed answer", async () => {
  const stream = await client().chat.completions.create({
    model: "grok-4.2",
    stream: true,
    stream_options: { include_usage: true },
    messages: [user("hello stream")],
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, 'Answer 1: you said "hello stream".');
  assert.ok(usage.completion_tokens > 0);
});

test("models", async () => {
  const ids = [];
  for await (const model of client().models.list()) ids.push(model.id);
  assert.ok(ids.includes("grok-4.2"), ids.join());
});

test("an error of each class", async () => {
  const create = (body, key) => client(key).chat.completions.create({ model: "grok-4.2", ...body });
  await assert.rejects(create({ messages: [user("x")] }, "sk-wrong"), OpenAI.AuthenticationError);
  await assert.rejects(create({ messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(create({ messages: [user("x")], conversation_id: "conv-nobody" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "conversation_not_found");
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(client().models.retrieve("gpt-9"), OpenAI.NotFoundError);
});

test("the README's example runs as written", () => {
  for (const name of ["README", "README_ZH"]) {
    const code = readFileSync(process.env[name], "utf8").match(/```js\n([\s\S]*?)```/)[1];
    writeFileSync("readme.mjs", code.replace("http://127.0.0.1:8000/v1", baseURL));
    try {
      assert.equal(execFileSync("node", ["readme.mjs"], { encoding: "utf8", timeout: 60_000 }), 'Answer 1: you said "hello".\n');
    } finally {
      rmSync("readme.mjs");
    }
  }
});

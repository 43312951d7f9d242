// How each client is pointed at this gateway.
import type { Key as Word } from "../../i18n";

type Values = { base: string; key: string; model: string };
type Part = { title?: Word; code: string; link?: boolean };
export type Client = { id: string; name: string; note?: Word; parts: (values: Values) => Part[] };

const encode = (value: unknown) => encodeURIComponent(JSON.stringify(value));

/** Base64 of UTF-8. */
function base64(text: string): string {
	return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

export const clients: Client[] = [
	{
		id: "curl",
		name: "curl",
		parts: ({ base, key, model }) => [
			{
				code: `curl "${base}/v1/chat/completions" \\\n  -H "Authorization: Bearer ${key}" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model":"${model}","stream":true,"messages":[{"role":"user","content":"你好"}]}'`,
			},
		],
	},
	{
		id: "python",
		name: "Python",
		parts: ({ base, key, model }) => [
			{
				code: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nstream = client.chat.completions.create(\n    model="${model}",\n    stream=True,\n    messages=[{"role": "user", "content": "你好"}],\n)\nfor chunk in stream:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)`,
			},
		],
	},
	{
		id: "node",
		name: "Node",
		parts: ({ base, key, model }) => [
			{
				code: `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}/v1", apiKey: "${key}" });\nconst stream = await client.chat.completions.create({\n  model: "${model}",\n  stream: true,\n  messages: [{ role: "user", content: "你好" }],\n});\nfor await (const chunk of stream) {\n  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n}`,
			},
		],
	},
	{
		id: "cherry",
		name: "Cherry Studio",
		note: "keys.note_cherry",
		parts: ({ base, key }) => [
			{ title: "keys.base_url", code: `${base}/v1` },
			{ title: "keys.api_key", code: key },
			{
				title: "keys.deep_link",
				link: true,
				code: `cherrystudio://providers/api-keys?v=1&data=${encodeURIComponent(base64(JSON.stringify({ id: "grok2api", name: "Grok2API", type: "openai", baseUrl: `${base}/v1`, apiKey: key })))}`,
			},
		],
	},
	{
		id: "nextchat",
		name: "NextChat",
		note: "keys.note_own_instance",
		parts: ({ base, key }) => [
			{ title: "keys.base_url", code: base },
			{ title: "keys.api_key", code: key },
			{ title: "keys.settings_link", code: `/#/?settings=${encode({ key, url: base })}` },
		],
	},
	{
		id: "lobe",
		name: "LobeChat",
		note: "keys.note_own_instance",
		parts: ({ base, key }) => [
			{ title: "keys.base_url", code: `${base}/v1` },
			{ title: "keys.api_key", code: key },
			{
				title: "keys.settings_link",
				code: `/?settings=${encode({ keyVaults: { openai: { apiKey: key, baseURL: `${base}/v1` } } })}`,
			},
		],
	},
	{
		id: "openwebui",
		name: "Open WebUI",
		note: "keys.note_openwebui",
		parts: ({ base, key }) => [{ code: `OPENAI_API_BASE_URL=${base}/v1\nOPENAI_API_KEY=${key}` }],
	},
	{
		id: "cline",
		name: "Cline / Roo",
		note: "keys.note_cline",
		parts: ({ base, key, model }) => [
			{ title: "keys.base_url", code: `${base}/v1` },
			{ title: "keys.api_key", code: key },
			{ title: "keys.model", code: model },
		],
	},
	{
		id: "env",
		name: "aider, …",
		parts: ({ base, key, model }) => [
			{ code: `export OPENAI_API_BASE=${base}/v1\nexport OPENAI_API_KEY=${key}\naider --model openai/${model}` },
		],
	},
];

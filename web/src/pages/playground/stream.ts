// A chat of the playground: the answer as it comes, and what is told beside it.
import { ApiError, failure } from "../../api/client";

export type Meta = {
	phase: "start" | "end";
	request_id: string;
	request: string;
	receipt: string;
	recognised: string;
	conversation_id: string;
	response_id: string;
	account: { id: string; label: string; fingerprint: string } | null;
	transport: string | null;
	mode: string | null;
	attempts: number;
	timing: { queue_ms: number | null; first_byte_ms: number | null; first_token_ms: number | null; elapsed_ms: number };
	usage: { prompt_tokens: number; completion_tokens: number; reasoning_tokens: number } | null;
};

export type Sink = {
	text: (piece: string) => void;
	thinking: (piece: string) => void;
	meta: (meta: Meta) => void;
	raw: (line: string) => void;
};

export async function chat(body: Record<string, unknown>, sink: Sink, signal: AbortSignal) {
	const response = await fetch("/admin/api/v1/playground/chat", {
		method: "POST",
		headers: { "Content-Type": "application/json", "X-Requested-With": "console" },
		body: JSON.stringify({ ...body, stream: true }),
		signal,
	});
	if (!response.ok || !response.body) throw failure(response, await response.json().catch(() => undefined));
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	let isDone = false;
	for (;;) {
		const { done, value } = await reader.read();
		if (done) break;
		rest += value;
		const frames = rest.split("\n\n");
		rest = frames.pop() ?? "";
		for (const frame of frames) isDone = take(frame, sink) || isDone;
	}
	if (!isDone) throw new ApiError(0, "upstream_truncated", "the answer was cut", response.headers.get("X-Request-ID"), [], {});
}

/** Whether the frame ends the answer. */
function take(frame: string, sink: Sink): boolean {
	sink.raw(frame);
	const lines = frame.split("\n");
	const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
	const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
	if (!data) return false;
	if (data === "[DONE]") return true;
	const value = JSON.parse(data);
	if (name === "meta") sink.meta(value);
	else if (value.error)
		throw new ApiError(
			200,
			value.error.code ?? "upstream_error",
			value.error.message ?? "",
			value.error.request_id ?? null,
			[],
			value.error,
		);
	else {
		const delta = value.choices?.[0]?.delta;
		if (delta?.reasoning_content) sink.thinking(delta.reasoning_content);
		if (delta?.content) sink.text(delta.content);
	}
	return false;
}

/** Splits `<think>…</think>` off a text, also when its end has not come yet. */
export function splitThinking(text: string): { thinking: string; answer: string; isOpen: boolean } {
	let thinking = "";
	let answer = "";
	let rest = text;
	for (;;) {
		const begin = rest.indexOf("<think>");
		if (begin < 0) return { thinking, answer: answer + rest, isOpen: false };
		answer += rest.slice(0, begin);
		const end = rest.indexOf("</think>", begin);
		if (end < 0) return { thinking: thinking + rest.slice(begin + 7), answer, isOpen: true };
		thinking += rest.slice(begin + 7, end);
		rest = rest.slice(end + 8).replace(/^\n+/, "");
	}
}

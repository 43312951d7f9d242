// One question and its answer, for the first run.
import { useRef, useState } from "react";
import { Link } from "wouter";
import { t } from "../../i18n";
import { sentenceOf } from "../../ui/toasts";
import { Markdown } from "./Markdown";
import { chat, type Meta, splitThinking } from "./stream";

export function TryOne({ onAnswered }: { onAnswered: () => void }) {
	const [question, setQuestion] = useState(t("playground.first_question"));
	const [text, setText] = useState("");
	const [meta, setMeta] = useState<Meta | null>(null);
	const [error, setError] = useState<unknown>(null);
	const [running, setRunning] = useState(false);
	const stop = useRef<AbortController>(undefined);
	const ask = async (event: React.FormEvent) => {
		event.preventDefault();
		stop.current = new AbortController();
		setText("");
		setError(null);
		setRunning(true);
		try {
			await chat(
				{ model: "grok-4.2", messages: [{ role: "user", content: question }] },
				{ text: (piece) => setText((was) => was + piece), thinking: () => undefined, meta: setMeta, raw: () => undefined },
				stop.current.signal,
			);
			onAnswered();
		} catch (problem) {
			setError(problem);
		}
		setRunning(false);
	};
	return (
		<>
			<form className="flex gap-2" onSubmit={ask}>
				<input
					className="input"
					aria-label={t("playground.message")}
					value={question}
					onChange={(event) => setQuestion(event.target.value)}
				/>
				<button type="submit" className="btn btn-primary" disabled={running || !question.trim()}>
					{t("playground.send")}
				</button>
			</form>
			<div aria-live="polite" className="mt-2">
				{text && <Markdown text={splitThinking(text).answer} />}
				{meta && !running && !error && (
					<p className="text-xs text-ink-2">
						{meta.account?.label} · <Link href={`/requests?open=${meta.request}`}>{meta.request_id}</Link>
					</p>
				)}
				{Boolean(error) && <p className="text-bad">{sentenceOf(error)}</p>}
			</div>
		</>
	);
}

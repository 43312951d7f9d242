// The probe: which turn would a list of messages continue, by which rule, or what differs. Writes nothing.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api, type Schema } from "../../api/client";
import { t, tCode } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Facts, Field } from "../../ui/parts";
import { sentenceOf } from "../../ui/toasts";
import { receiptWord } from "../requests/words";

export function Probe({ onClose }: { onClose: () => void }) {
	const keys = useQuery({
		queryKey: ["keys", ""],
		queryFn: () => api.get("/admin/api/v1/keys", { params: { query: { sort: "-created_at", limit: 500 } } }),
	});
	const [key, setKey] = useState("console");
	const [text, setText] = useState(
		'[\n  {"role": "user", "content": "…"},\n  {"role": "assistant", "content": "…"},\n  {"role": "user", "content": "…"}\n]',
	);
	const match = useMutation({
		mutationFn: () => {
			let messages: unknown;
			try {
				messages = JSON.parse(text);
			} catch {
				throw new Error(t("requests.not_json"));
			}
			const body = Array.isArray(messages) ? { messages } : (messages as Record<string, unknown>);
			return api.post("/admin/api/v1/conversations/match", {
				body: {
					key_id: key,
					messages: body.messages,
					...("conversation_id" in body ? { conversation_id: body.conversation_id } : {}),
				} as never,
			}) as Promise<Schema["MatchView"]>;
		},
	});
	const found = match.data;
	const difference = found?.alike?.difference as { code?: string; message?: string } | null | undefined;
	return (
		<Panel
			wide
			title={t("requests.probe")}
			onClose={onClose}
			footer={
				<button type="button" className="btn btn-primary" disabled={match.isPending} onClick={() => match.mutate()}>
					{t("requests.probe_run")}
				</button>
			}
		>
			<p className="mb-3 text-ink-2">{t("requests.probe_hint")}</p>
			<Field label={t("requests.key")}>
				{(props) => (
					<select {...props} className="input w-64" value={key} onChange={(event) => setKey(event.target.value)}>
						<option value="console">{t("shell.playground")}</option>
						{keys.data?.items.map((one) => (
							<option key={one.id} value={one.id}>
								{one.name}
							</option>
						))}
					</select>
				)}
			</Field>
			<Field label="messages">
				{(props) => (
					<textarea
						{...props}
						className="input min-h-56 font-mono text-xs"
						spellCheck={false}
						value={text}
						onChange={(event) => setText(event.target.value)}
					/>
				)}
			</Field>
			<div aria-live="polite">
				{match.isError && <p className="text-bad">{sentenceOf(match.error)}</p>}
				{found && (
					<Facts
						rows={[
							[t("requests.recognised"), tCode(`requests.recognised_${found.recognised}`, found.recognised)],
							[t("requests.receipt"), receiptWord(found.receipt)],
							[
								t("requests.conversation"),
								found.conversation_id ? (
									<Link href={`/conversations/${found.conversation_id}`}>{found.conversation_id}</Link>
								) : (
									"–"
								),
							],
							[t("requests.why"), found.why_not ? tCode(`requests.why_${found.why_not.code}`, found.why_not.code) : "–"],
							[
								t("requests.alike"),
								found.alike ? (
									<Link href={`/conversations/${found.alike.conversation_id}`}>{found.alike.conversation_id}</Link>
								) : (
									"–"
								),
							],
							[t("requests.difference"), difference ? (difference.message ?? JSON.stringify(difference)) : "–"],
						]}
					/>
				)}
			</div>
		</Panel>
	);
}

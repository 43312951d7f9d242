// Adding accounts: anything is pasted or dropped, what was read is shown, and a job adds it.
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Check, Field } from "../../ui/parts";
import { sentenceOf, toast } from "../../ui/toasts";
import { startJob } from "./actions";

type Preview = Schema["PreviewView"];

export function AddAccounts({ files, onClose }: { files: File[]; onClose: () => void }) {
	return (
		<Panel title={t("accounts.add")} onClose={onClose}>
			<AddForm files={files} onDone={onClose} />
		</Panel>
	);
}

export function AddForm({ files, onDone }: { files?: File[]; onDone?: (job: Schema["JobView"]) => void }) {
	const [, navigate] = useLocation();
	const [text, setText] = useState("");
	const [named, setNamed] = useState<{ name: string; text: string }[]>([]);
	const [prefix, setPrefix] = useState("");
	const [tags, setTags] = useState("");
	const [enabled, setEnabled] = useState(true);
	const [check, setCheck] = useState(true);
	const chooser = useRef<HTMLInputElement>(null);
	const preview = useMutation({
		mutationFn: () =>
			api.post("/admin/api/v1/imports/preview", {
				body: { ...(text.trim() ? { text } : {}), ...(named.length ? { files: named } : {}) } as never,
			}) as Promise<Preview>,
	});
	const start = useMutation({
		mutationFn: (id: string) =>
			startJob(
				"accounts.import",
				undefined,
				{
					enabled,
					check_quota: check,
					...(prefix.trim() ? { label_prefix: prefix } : {}),
					tags: tags
						.split(/[,，]/)
						.map((tag) => tag.trim())
						.filter(Boolean),
				},
				{ preview_id: id },
			),
		onSuccess: (job) => {
			toast(t("jobs.started"), { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) });
			setText("");
			setNamed([]);
			preview.reset();
			onDone?.(job);
		},
	});
	const read = async (chosen: File[]) => {
		setNamed([...named, ...(await Promise.all(chosen.map(async (file) => ({ name: file.name, text: await file.text() }))))]);
	};
	useEffect(() => {
		if (files?.length) void read(files);
	}, [files]);
	const content = text + named.map((file) => file.name).join();
	useEffect(() => {
		preview.reset();
		if (!text.trim() && !named.length) return;
		const wait = setTimeout(() => preview.mutate(), 400);
		return () => clearTimeout(wait);
	}, [content]);
	const counts = preview.data?.counts as Record<string, number> | undefined;
	return (
		<form
			onSubmit={(event) => {
				event.preventDefault();
				if (preview.data) start.mutate(preview.data.preview_id);
			}}
		>
			<Field label={t("accounts.paste")} hint={t("accounts.paste_hint")}>
				{(props) => (
					<textarea
						{...props}
						className="input min-h-40 font-mono text-xs"
						spellCheck={false}
						autoComplete="off"
						value={text}
						placeholder={"eyJ0eXAi…\nsso=eyJ0eXAi…\nmail@example.org----…----eyJ0eXAi…"}
						onChange={(event) => setText(event.target.value)}
						autoFocus
					/>
				)}
			</Field>
			<div className="mb-3 flex flex-wrap items-center gap-2">
				<button type="button" className="btn" onClick={() => chooser.current?.click()}>
					{t("accounts.choose_files")}
				</button>
				<input
					ref={chooser}
					type="file"
					multiple
					hidden
					accept=".txt,.json,.csv,.jsonl,text/*,application/json"
					aria-label={t("accounts.choose_files")}
					onChange={(event) => void read([...(event.target.files ?? [])])}
				/>
				{named.map((file) => (
					<button key={file.name} type="button" className="chip" onClick={() => setNamed(named.filter((one) => one !== file))}>
						{file.name} ×
					</button>
				))}
			</div>
			<details className="mb-3">
				<summary className="text-accent">{t("accounts.where_token")}</summary>
				<ol className="mt-2 list-decimal pl-5 text-ink-2">
					<li>{t("accounts.where_1")}</li>
					<li>{t("accounts.where_2")}</li>
					<li>{t("accounts.where_3")}</li>
				</ol>
			</details>
			<div aria-live="polite" className="mb-3 min-h-5">
				{preview.isPending && <span className="text-ink-3">{t("accounts.reading")}</span>}
				{preview.isError && <span className="text-bad">{sentenceOf(preview.error)}</span>}
				{counts && (
					<p className="tabular-nums">
						{t("accounts.preview", {
							entries: counts.entries ?? 0,
							fresh: counts.new ?? 0,
							duplicates: counts.duplicates ?? 0,
							existing: counts.existing ?? 0,
							unreadable: counts.unreadable ?? 0,
						})}
					</p>
				)}
				{preview.data && preview.data.problems.length > 0 && (
					<ul className="mt-1 max-h-32 overflow-auto text-xs text-warn">
						{preview.data.problems.slice(0, 50).map((problem) => (
							<li key={`${problem.source}${problem.place}`}>
								{t("accounts.problem", {
									place: problem.place,
									source: problem.source,
									why: tCode(`accounts.unreadable_${problem.code}`, problem.code),
								})}
							</li>
						))}
					</ul>
				)}
				{preview.data && preview.data.samples.length > 0 && (
					<table className="mt-2 w-full text-xs">
						<caption className="sr-only">{t("accounts.first_ones")}</caption>
						<tbody>
							{preview.data.samples.map((sample) => (
								<tr key={sample.fingerprint} className="border-t border-line">
									<td className="id py-1">{sample.fingerprint.slice(0, 6)}</td>
									<td className="truncate py-1">{sample.label}</td>
									<td className="py-1 text-ink-3">{sample.tier}</td>
									<td className="py-1 text-right text-ink-3">{t("accounts.line", { n: sample.place })}</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</div>
			<div className="grid grid-cols-2 gap-x-3 max-sm:grid-cols-1">
				<Field label={t("accounts.prefix")} hint={t("accounts.prefix_hint")}>
					{(props) => <input {...props} className="input" value={prefix} onChange={(event) => setPrefix(event.target.value)} />}
				</Field>
				<Field label={t("accounts.tags")} hint={t("accounts.tags_hint")}>
					{(props) => <input {...props} className="input" value={tags} onChange={(event) => setTags(event.target.value)} />}
				</Field>
			</div>
			<Check checked={enabled} onChange={setEnabled}>
				{t("accounts.enabled_at_once")}
			</Check>
			<Check checked={check} onChange={setCheck}>
				{t("accounts.check_after_import")}
			</Check>
			{start.isError && <p className="mb-2 text-bad">{sentenceOf(start.error)}</p>}
			<button type="submit" className="btn btn-primary" disabled={!counts?.new || start.isPending}>
				{counts?.new ? t("accounts.import_n", { n: counts.new }) : t("accounts.import")}
			</button>
			{counts && !counts.new && (
				<span className="ml-3 text-ink-3">
					{number(0)} {t("accounts.nothing_new")}
				</span>
			)}
		</form>
	);
}

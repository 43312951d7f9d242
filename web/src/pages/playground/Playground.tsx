// Trying a prompt through the very pipeline that clients use, and seeing what happened.
import { useQuery as useData } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { ApiError, api } from "../../api/client";
import { useModels } from "../../api/queries";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Icon } from "../../ui/icons";
import { duration, Facts, Head, Tabs } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { sentenceOf, toast } from "../../ui/toasts";
import { receiptWord } from "../requests/words";
import { Markdown } from "./Markdown";
import { chat, type Meta, splitThinking } from "./stream";

type Answer = { text: string; thinking: string; meta: Meta | null; error: unknown; running: boolean; raw: string[] };
type Image = { name: string; url: string };
/** A question with all answers that it got; `at` is the one that the chat goes on with. Where it was asked in other words too, `paths` are
 *  the ways that the chat took from here, and `path` is this one. */
type Turn = { question: string; images: Image[]; answers: Answer[]; at: number; paths?: Turn[][]; path?: number };

/** The chat, kept in this tab while another page is looked at, and through a reload as far as it has room. */
type Kept = { turns: Turn[]; draft: string; system: string; model: string; conv: string | null };
const STORED = "playground";

function stored(): Kept {
	const nothing: Kept = { turns: [], draft: "", system: "", model: "grok-4.2", conv: null };
	try {
		return { ...nothing, ...JSON.parse(sessionStorage.getItem(STORED) ?? "{}") };
	} catch {
		return nothing;
	}
}

let kept = stored();

function keep(now: Kept) {
	kept = now;
	// An answer that was on its way is not any more when this is read.
	const turns = now.turns.map((turn) => ({
		...turn,
		answers: turn.answers.map((answer) => ({ ...answer, running: false, error: null, raw: [] })),
	}));
	try {
		sessionStorage.setItem(STORED, JSON.stringify({ ...now, turns }));
	} catch {
		// Images may be larger than what a browser keeps.
		sessionStorage.removeItem(STORED);
	}
}

const empty: Answer = { text: "", thinking: "", meta: null, error: null, running: true, raw: [] };

export default function Playground() {
	const [query, setQuery] = useQuery();
	const [model, setModel] = useState(kept.model);
	const models = useModels();
	const usable = models.data?.items.filter((one) => one.enabled && one.kind !== "pattern").map((one) => one.name) ?? [];
	const names = usable.includes(model) ? usable : [model, ...usable];
	const [account, setAccount] = useState(query.get("account") ?? "");
	const [asKey, setAsKey] = useState("");
	const continued = query.get("conv");
	// Another conversation is another chat.
	const begun = continued && continued !== kept.conv ? { ...kept, turns: [], system: "", conv: continued } : kept;
	const [system, setSystem] = useState(begun.system);
	const [turns, setTurns] = useState(begun.turns);
	const [draft, setDraft] = useState(begun.draft);
	const [images, setImages] = useState<Image[]>([]);
	const [tab, setTab] = useState<"happened" | "raw" | "code">("happened");
	const stop = useRef<AbortController>(undefined);
	const end = useRef<HTMLDivElement>(null);
	const accounts = useData({
		queryKey: ["accounts", "choice"],
		queryFn: () => api.get("/admin/api/v1/accounts", { params: { query: { limit: 100, state: "available,probation" } } }),
	});
	const keys = useData({
		queryKey: ["keys", ""],
		queryFn: () => api.get("/admin/api/v1/keys", { params: { query: { sort: "-created_at", limit: 500 } } }),
	});
	const answers = turns.flatMap((turn) => turn.answers);
	const running = answers.some((answer) => answer.running);
	const current = turns.at(-1)?.answers[turns.at(-1)?.at ?? 0];
	const meta = current?.meta ?? null;

	useEffect(() => keep({ turns, draft, system, model, conv: continued }), [turns, draft, system, model, continued]);
	useEffect(
		() => () => {
			// Nobody reads on; what has arrived stays.
			stop.current?.abort();
			keep({
				...kept,
				turns: kept.turns.map((turn) => ({ ...turn, answers: turn.answers.map((one) => ({ ...one, running: false })) })),
			});
		},
		[],
	);

	const run = async (index: number, turn: Turn, earlier: Turn[]) => {
		const number = turn.answers.length - 1;
		const change = (part: (answer: Answer) => Partial<Answer>) =>
			setTurns((was) =>
				was.map((one, at) =>
					at === index
						? {
								...one,
								answers: one.answers.map((answer, which) => (which === number ? { ...answer, ...part(answer) } : answer)),
							}
						: one,
				),
			);
		const messages: unknown[] = system.trim() ? [{ role: "system", content: system }] : [];
		for (const one of earlier) {
			messages.push({ role: "user", content: contentOf(one) });
			messages.push({ role: "assistant", content: splitThinking(one.answers[one.at]?.text ?? "").answer });
		}
		messages.push({ role: "user", content: contentOf(turn) });
		stop.current = new AbortController();
		try {
			await chat(
				{
					model,
					messages,
					...(account ? { account_id: account } : {}),
					...(asKey ? { as_key_id: asKey } : {}),
					...(continued && !earlier.length ? { conversation_id: continued } : {}),
				},
				{
					text: (piece) => change((answer) => ({ text: answer.text + piece })),
					thinking: (piece) => change((answer) => ({ thinking: answer.thinking + piece })),
					meta: (told) => change(() => ({ meta: told })),
					raw: (line) => change((answer) => ({ raw: [...answer.raw, line].slice(-500) })),
				},
				stop.current.signal,
			);
			change(() => ({ running: false }));
		} catch (error) {
			change(() => ({ running: false, error: stop.current?.signal.aborted ? null : error }));
		}
	};
	const send = () => {
		const question = draft.trim();
		if ((!question && !images.length) || running) return;
		const turn: Turn = { question, images, answers: [empty], at: 0 };
		setTurns([...turns, turn]);
		setDraft("");
		setImages([]);
		void run(turns.length, turn, turns);
	};
	const again = (index: number, question?: string) => {
		const old = turns[index];
		if (!old || running) return;
		const paths = savedPaths(turns, index);
		const turn: Turn =
			question === undefined
				? { ...old, answers: [...old.answers, empty], at: old.answers.length }
				: { ...old, question, answers: [empty], at: 0, paths: [...paths, []], path: paths.length };
		// What followed the old answer is not part of this branch.
		setTurns([...turns.slice(0, index), turn]);
		void run(index, turn, turns.slice(0, index));
	};
	/** Goes on where the chat was when its question had other words. */
	const follow = (index: number, path: number) => {
		const paths = savedPaths(turns, index);
		const [first, ...rest] = paths[path] ?? [];
		if (first && !running) setTurns([...turns.slice(0, index), { ...first, paths, path }, ...rest]);
	};
	useEffect(() => {
		// Newer browsers answer a promise here, which is no clean-up.
		end.current?.scrollIntoView({ block: "end" });
	}, [current?.text.length, turns.length]);
	const attach = async (files: Iterable<File>) => {
		const pictures = [...files].filter((file) => file.type.startsWith("image/"));
		if (pictures.length < [...files].length) toast(t("playground.images_only"));
		const read = pictures.map(
			(file) =>
				new Promise<Image>((resolve, reject) => {
					const reader = new FileReader();
					reader.onload = () => resolve({ name: file.name, url: String(reader.result) });
					reader.onerror = () => reject(reader.error);
					reader.readAsDataURL(file);
				}),
		);
		setImages([...images, ...(await Promise.all(read))]);
	};
	return (
		<div className="flex h-full flex-col">
			<Head title={t("shell.playground")}>
				<select
					className="input w-40"
					aria-label={t("playground.model")}
					value={model}
					onChange={(event) => setModel(event.target.value)}
				>
					{names.map((one) => (
						<option key={one}>{one}</option>
					))}
				</select>
				<select
					className="input w-40"
					aria-label={t("playground.account")}
					value={account}
					onChange={(event) => setAccount(event.target.value)}
				>
					<option value="">{t("playground.account_auto")}</option>
					{account && !accounts.data?.items.some((one) => one.id === account) && <option value={account}>{account}</option>}
					{accounts.data?.items.map((one) => (
						<option key={one.id} value={one.id}>
							{one.label}
						</option>
					))}
				</select>
				<select
					className="input w-36"
					aria-label={t("playground.as_key")}
					value={asKey}
					onChange={(event) => setAsKey(event.target.value)}
				>
					<option value="">{t("playground.as_console")}</option>
					{keys.data?.items.map((one) => (
						<option key={one.id} value={one.id}>
							{one.name}
						</option>
					))}
				</select>
				<button
					type="button"
					className="btn"
					onClick={() => {
						stop.current?.abort();
						setTurns([]);
						setQuery({ conv: null });
					}}
				>
					{t("playground.new")}
				</button>
			</Head>
			<div className="grid min-h-0 flex-1 gap-3 lg:grid-cols-[minmax(0,1fr)_320px]">
				<div className="box flex min-h-96 flex-col overflow-hidden">
					<div className="min-h-0 flex-1 overflow-auto p-4" tabIndex={0} role="log" aria-label={t("playground.transcript")}>
						{continued && <p className="mb-3 text-ink-2">{t("playground.continues", { id: continued })}</p>}
						{!turns.length && (
							<details className="mb-3">
								<summary className="text-ink-2">{t("playground.system")}</summary>
								<textarea
									className="input mt-2"
									rows={3}
									aria-label={t("playground.system")}
									value={system}
									onChange={(event) => setSystem(event.target.value)}
								/>
							</details>
						)}
						{!turns.length && <p className="text-ink-3">{t("playground.empty")}</p>}
						{turns.map((turn, index) => (
							<TurnView
								key={index}
								turn={turn}
								busy={running}
								onChoose={(at) => setTurns(turns.map((one, which) => (which === index ? { ...one, at } : one)))}
								onAgain={() => again(index)}
								onEdit={(question) => again(index, question)}
								onFollow={(path) => follow(index, path)}
							/>
						))}
						<div ref={end} />
					</div>
					<form
						className="border-t border-line p-3"
						onSubmit={(event) => {
							event.preventDefault();
							send();
						}}
						onDragOver={(event) => event.preventDefault()}
						onDrop={(event) => {
							event.preventDefault();
							void attach(event.dataTransfer.files);
						}}
					>
						{images.length > 0 && (
							<div className="mb-2 flex flex-wrap gap-2">
								{images.map((image) => (
									<button
										key={image.url}
										type="button"
										title={t("playground.remove_image")}
										onClick={() => setImages(images.filter((one) => one !== image))}
									>
										<img src={image.url} alt={image.name} className="h-14 rounded-control border border-line" />
									</button>
								))}
							</div>
						)}
						<textarea
							className="input"
							rows={3}
							aria-label={t("playground.message")}
							placeholder={t("playground.placeholder")}
							value={draft}
							onChange={(event) => setDraft(event.target.value)}
							onPaste={(event) => event.clipboardData.files.length && void attach(event.clipboardData.files)}
							onKeyDown={(event) => {
								if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
									event.preventDefault();
									send();
								} else if (event.key === "Escape") stop.current?.abort();
							}}
						/>
						<div className="mt-2 flex items-center gap-2">
							<label className="btn focus-within:outline-2 focus-within:outline-accent">
								<Icon name="image" />
								{t("playground.image")}
								<input
									type="file"
									accept="image/*"
									multiple
									className="sr-only"
									onChange={(event) => void attach(event.target.files ?? [])}
								/>
							</label>
							{running ? (
								<button type="button" className="btn ml-auto" onClick={() => stop.current?.abort()}>
									<Icon name="stop" />
									{t("playground.stop")}
								</button>
							) : (
								<button type="submit" className="btn btn-primary ml-auto" disabled={!draft.trim() && !images.length}>
									<Icon name="send" />
									{t("playground.send")}
								</button>
							)}
						</div>
					</form>
				</div>
				<aside className="box min-h-0 overflow-auto p-3" aria-label={t("playground.happened")}>
					<Tabs
						label={t("playground.happened")}
						value={tab}
						onChange={setTab}
						tabs={[
							["happened", t("playground.happened")],
							["raw", t("playground.raw")],
							["code", t("playground.code")],
						]}
					/>
					{tab === "happened" && <Happened meta={meta} />}
					{tab === "raw" && (
						<pre className="font-mono text-xs break-all whitespace-pre-wrap">
							{current?.raw.join("\n\n") || t("playground.nothing_yet")}
						</pre>
					)}
					{tab === "code" && <Code model={model} turns={turns} conversation={meta?.conversation_id} />}
				</aside>
			</div>
		</div>
	);
}

function contentOf(turn: Turn): unknown {
	if (!turn.images.length) return turn.question;
	return [
		{ type: "text", text: turn.question },
		...turn.images.map((image) => ({ type: "image_url", image_url: { url: image.url } })),
	];
}

/** The ways that the chat took from a question on, this one as it stands. */
function savedPaths(turns: Turn[], index: number): Turn[][] {
	const [first, ...rest] = turns.slice(index);
	if (!first) return [];
	const { paths, path, ...plain } = first;
	const here: Turn[] = [plain, ...rest];
	return paths ? paths.map((one, at) => (at === path ? here : one)) : [here];
}

function Pager({ at, count, onChoose }: { at: number; count: number; onChoose: (at: number) => void }) {
	return (
		<span className="flex items-center tabular-nums">
			<button
				type="button"
				className="btn-icon size-6"
				data-repeat
				aria-label={t("playground.previous")}
				disabled={at === 0}
				onClick={() => onChoose(at - 1)}
			>
				<Icon name="left" className="size-3" />
			</button>
			{number(at + 1)}/{number(count)}
			<button
				type="button"
				className="btn-icon size-6"
				data-repeat
				aria-label={t("playground.next")}
				disabled={at === count - 1}
				onClick={() => onChoose(at + 1)}
			>
				<Icon name="right" className="size-3" />
			</button>
		</span>
	);
}

function TurnView({
	turn,
	busy,
	onChoose,
	onAgain,
	onEdit,
	onFollow,
}: {
	turn: Turn;
	busy: boolean;
	onChoose: (at: number) => void;
	onAgain: () => void;
	onEdit: (question: string) => void;
	onFollow: (path: number) => void;
}) {
	const [editing, setEditing] = useState<string | null>(null);
	const answer = turn.answers[turn.at] as Answer;
	const split = splitThinking(answer.text);
	const thinking = answer.thinking || split.thinking;
	const isThinking = answer.running && (split.isOpen || (!split.answer && Boolean(thinking)));
	return (
		<article className="mb-5">
			<div className="mb-2 rounded-control bg-sunken px-3 py-2">
				{editing === null ? (
					<p className="whitespace-pre-wrap [overflow-wrap:anywhere]">{turn.question}</p>
				) : (
					<form
						onSubmit={(event) => {
							event.preventDefault();
							onEdit(editing);
							setEditing(null);
						}}
					>
						<textarea
							className="input"
							rows={3}
							autoFocus
							aria-label={t("playground.edit")}
							value={editing}
							onChange={(event) => setEditing(event.target.value)}
						/>
						<div className="mt-2 flex gap-2">
							<button type="submit" className="btn btn-primary">
								{t("playground.send")}
							</button>
							<button type="button" className="btn" onClick={() => setEditing(null)}>
								{t("shell.cancel")}
							</button>
						</div>
					</form>
				)}
				{(turn.paths?.length ?? 0) > 1 && (
					<div className="mt-1 text-xs text-ink-2">
						<Pager at={turn.path ?? 0} count={turn.paths?.length ?? 0} onChoose={onFollow} />
					</div>
				)}
				{turn.images.map((image) => (
					<img key={image.url} src={image.url} alt={image.name} className="mt-2 max-h-40 rounded-control" />
				))}
			</div>
			{thinking && (
				<details open={isThinking} className="mb-2 border-l-2 border-line pl-3 text-ink-2">
					<summary className="text-xs">{isThinking ? t("playground.thinking") : t("playground.thought")}</summary>
					<p
						className="mt-1 max-h-72 overflow-auto whitespace-pre-wrap"
						tabIndex={0}
						role="region"
						aria-label={t("playground.thought")}
					>
						{thinking}
					</p>
				</details>
			)}
			{split.answer ? <Markdown text={split.answer} /> : answer.running && !thinking && <p className="text-ink-3">…</p>}
			{Boolean(answer.error) && (
				<div role="alert" className="mt-2 rounded-control border border-bad px-3 py-2 text-bad">
					{sentenceOf(answer.error)}{" "}
					<button type="button" className="underline" onClick={onAgain}>
						{t("shell.retry")}
					</button>
					{answer.error instanceof ApiError && answer.error.requestId && (
						<>
							{" · "}
							<Link href={`/requests?open=${answer.error.requestId}`}>{t("playground.in_log")}</Link>
						</>
					)}
				</div>
			)}
			<div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-ink-2">
				{turn.answers.length > 1 && <Pager at={turn.at} count={turn.answers.length} onChoose={onChoose} />}
				{answer.meta && (
					<>
						{answer.meta.account && <Link href={`/accounts/${answer.meta.account.id}`}>{answer.meta.account.label}</Link>}
						<span>{receiptWord(answer.meta.receipt)}</span>
						{answer.meta.timing.first_token_ms !== null && (
							<span>{t("playground.first_token", { time: duration(answer.meta.timing.first_token_ms) })}</span>
						)}
						{answer.meta.usage && <span>≈{t("playground.tokens", { n: answer.meta.usage.completion_tokens })}</span>}
						<Link href={`/requests?open=${answer.meta.request}`}>{t("playground.in_log")}</Link>
					</>
				)}
				{!busy && (
					<>
						<button type="button" className="underline" onClick={onAgain}>
							{t("playground.again")}
						</button>
						<button type="button" className="underline" onClick={() => setEditing(turn.question)}>
							{t("playground.edit")}
						</button>
						{split.answer && <Copy text={split.answer} />}
					</>
				)}
			</div>
		</article>
	);
}

function Happened({ meta }: { meta: Meta | null }) {
	if (!meta) return <p className="text-ink-3">{t("playground.nothing_yet")}</p>;
	return (
		<Facts
			rows={[
				[
					t("requests.conversation"),
					<span key="c" className="flex items-center gap-1">
						<Link href={`/conversations/${meta.conversation_id}`} className="truncate">
							{meta.conversation_id}
						</Link>
						<Copy text={meta.conversation_id} />
					</span>,
				],
				[
					t("requests.account"),
					meta.account ? (
						<Link key="a" href={`/accounts/${meta.account.id}`}>
							{meta.account.label}
						</Link>
					) : (
						"–"
					),
				],
				[t("requests.receipt"), receiptWord(meta.receipt)],
				[t("requests.recognised"), tCode(`requests.recognised_${meta.recognised}`, meta.recognised)],
				[t("requests.mode"), meta.mode ?? "–"],
				[t("accounts.transport"), meta.transport ?? "–"],
				[t("playground.attempts"), number(meta.attempts)],
				[t("requests.first_token"), duration(meta.timing.first_token_ms)],
				[t("requests.duration"), duration(meta.timing.elapsed_ms)],
				[
					t("requests.tokens"),
					meta.usage ? `≈${number(meta.usage.prompt_tokens)} → ${number(meta.usage.completion_tokens)}` : "–",
				],
				[
					t("requests.request"),
					<Link key="r" href={`/requests?open=${meta.request}`}>
						{meta.request_id}
					</Link>,
				],
			]}
		/>
	);
}

function Code({ model, turns, conversation }: { model: string; turns: Turn[]; conversation?: string }) {
	const messages = turns.flatMap((turn) => [
		{ role: "user", content: turn.question },
		{ role: "assistant", content: splitThinking(turn.answers[turn.at]?.text ?? "").answer },
	]);
	const next = { role: "user", content: "…" };
	const full = `curl "${location.origin}/v1/chat/completions" -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" -d '${JSON.stringify({ model, messages: [...messages, next] }, null, 1).replaceAll("'", "'\\''")}'`;
	const short = `curl "${location.origin}/v1/chat/completions" -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" -d '${JSON.stringify({ model, conversation_id: conversation ?? "conv-…", messages: [next] })}'`;
	return (
		<>
			{[
				[t("playground.code_full"), full],
				[t("playground.code_short"), short],
			].map(([words, code]) => (
				<div key={words} className="mb-3">
					<div className="mb-1 flex items-center justify-between text-xs text-ink-2">
						{words}
						<Copy text={code as string} />
					</div>
					<pre
						className="max-h-60 overflow-auto rounded-control bg-sunken p-2 font-mono text-xs break-all whitespace-pre-wrap"
						tabIndex={0}
					>
						{code}
					</pre>
				</div>
			))}
		</>
	);
}

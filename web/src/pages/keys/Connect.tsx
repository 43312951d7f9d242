// Connecting a client: address, key, model, and what to paste where.
import { useQuery as useData, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api } from "../../api/client";
import { useSystem } from "../../api/queries";
import { t } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Field, Head, Tabs } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { sentenceOf, toastError } from "../../ui/toasts";
import { fresh } from "./fresh";
import type { NewKey } from "./Keys";
import { clients } from "./snippets";

export default function Connect() {
	return (
		<>
			<Head title={t("shell.connect")} />
			<ConnectForm />
		</>
	);
}

export function ConnectForm() {
	const [query, setQuery] = useQuery();
	const system = useSystem().data;
	const [base, setBase] = useState<string | null>(null);
	const [key, setKey] = useState(fresh.key);
	const [model, setModel] = useState("grok-4.2");
	const chosen = clients.find((client) => client.id === query.get("client")) ?? clients[0];
	const address = (base ?? system?.public_url ?? location.origin).replace(/\/$/, "");
	const models = useData({
		queryKey: ["models", key],
		queryFn: async () => {
			const response = await fetch("/v1/models", { headers: { Authorization: `Bearer ${key}` } });
			if (!response.ok) throw new Error(String(response.status));
			return ((await response.json()) as { data: { id: string }[] }).data.map((one) => one.id);
		},
		enabled: key.startsWith("sk-") && key.length > 8,
		retry: false,
	});
	const create = useMutation({
		mutationFn: () =>
			api.post("/admin/api/v1/keys", { body: { name: "default" } as never }) as Promise<unknown> as Promise<{ keys: NewKey[] }>,
		onSuccess: (made) => {
			fresh.key = made.keys[0]?.key ?? "";
			setKey(fresh.key);
		},
		onError: toastError,
	});
	const isLocal = /\/\/(localhost|127\.|\[::1\])/.test(address) && !/^(localhost|127\.|\[::1\])/.test(location.host);
	const isPlain =
		address.startsWith("http://") && !/\/\/(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[::1\])/.test(address);
	const values = { base: address, key: key || "$API_KEY", model };
	return (
		<div className="grid gap-4 lg:grid-cols-[320px_minmax(0,1fr)]">
			<div className="box h-fit p-4">
				<Field label={t("keys.base_url")} hint={system?.public_url ? t("keys.base_from_settings") : t("keys.base_from_browser")}>
					{(props) => (
						<input
							{...props}
							className="input"
							spellCheck={false}
							value={base ?? address}
							onChange={(event) => setBase(event.target.value)}
						/>
					)}
				</Field>
				{(isLocal || isPlain) && <p className="mb-3 text-xs text-warn">{t(isLocal ? "keys.warn_local" : "keys.warn_plain")}</p>}
				<Field label={t("keys.api_key")} hint={key ? t("keys.key_memory") : t("keys.key_hint")}>
					{(props) => (
						<input
							{...props}
							className="input font-mono text-xs"
							type="text"
							autoComplete="off"
							spellCheck={false}
							placeholder="sk-…"
							value={key}
							onChange={(event) => setKey(event.target.value.trim())}
						/>
					)}
				</Field>
				{!key && (
					<button type="button" className="btn btn-primary mb-3" disabled={create.isPending} onClick={() => create.mutate()}>
						{t("keys.create_default")}
					</button>
				)}
				<p aria-live="polite" className="mb-3 text-xs">
					{models.isSuccess && <span className="text-ok">{t("keys.reachable", { n: models.data.length })}</span>}
					{models.isError && <span className="text-bad">{t("keys.not_reachable", { why: sentenceOf(models.error) })}</span>}
				</p>
				<Field label={t("keys.model")}>
					{(props) => (
						<>
							<input
								{...props}
								className="input"
								list="models"
								value={model}
								onChange={(event) => setModel(event.target.value)}
							/>
							<datalist id="models">
								{models.data?.map((one) => (
									<option key={one} value={one} />
								))}
							</datalist>
						</>
					)}
				</Field>
				<Link href="/keys">{t("keys.all_keys")}</Link>
			</div>
			<div className="min-w-0">
				<Tabs
					label={t("shell.connect")}
					tabs={clients.map((client): [string, string] => [client.id, client.name])}
					value={chosen?.id ?? ""}
					onChange={(client) => setQuery({ client }, "replace")}
				/>
				{chosen?.note && <p className="mb-3 text-ink-2">{t(chosen.note)}</p>}
				{chosen?.parts(values).map((part, index) => (
					<div key={index} className="mb-3">
						{part.title && <div className="mb-1 text-xs text-ink-2">{t(part.title)}</div>}
						<div className="box relative">
							<pre className="overflow-x-auto p-3 pr-12 font-mono text-xs leading-5">{part.code}</pre>
							<div className="absolute top-2 right-2">
								<Copy text={part.code} />
							</div>
						</div>
						{part.link && (
							<a className="btn mt-2 no-underline" href={part.code}>
								{t("keys.open_app", { name: chosen.name })}
							</a>
						)}
					</div>
				))}
			</div>
		</div>
	);
}

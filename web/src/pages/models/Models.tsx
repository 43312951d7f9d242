// What clients may call models: what stands behind each name, who can serve it, how it fares; further names, and which are off.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api, type Schema } from "../../api/client";
import { useModels } from "../../api/queries";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Pill } from "../../ui/Pill";
import { Bar, Failed, Field, firstToken, Head, percent, Skeleton } from "../../ui/parts";
import { toast, toastError } from "../../ui/toasts";

type Model = Schema["ModelView"];
type Values = { model_aliases: string[]; disabled_models: string[] };

/** The next values of both settings, made from those in force. */
type Change = (values: Values) => Partial<Values>;

/** Changes a setting as it stands now, whatever was shown. */
function useChange() {
	const queries = useQueryClient();
	return useMutation({
		mutationFn: async (change: Change) => {
			const { values, version } = await api.get("/admin/api/v1/settings");
			const body = change(values as unknown as Values) as never;
			await api.patch("/admin/api/v1/settings", { headers: { "If-Match": `"${version}"` }, body });
		},
		onSuccess: () => {
			toast(t("models.saved"));
			void queries.invalidateQueries({ queryKey: ["models"] });
		},
		onError: toastError,
	});
}

export default function Models() {
	const models = useModels();
	const change = useChange();
	const [alias, setAlias] = useState("");
	if (models.isPending) return <Skeleton />;
	if (models.isError) return <Failed error={models.error} retry={() => models.refetch()} />;
	const { items, passed_through: others } = models.data;
	const turn = (model: Model) =>
		change.mutate(({ disabled_models: off }) => ({
			disabled_models: model.enabled ? [...off, model.name] : off.filter((one) => one.toLowerCase() !== model.name.toLowerCase()),
		}));
	const forget = (model: Model) =>
		change.mutate(({ model_aliases: aliases }) => ({
			model_aliases: aliases.filter((one) => one !== `${model.name}=${model.alias_of}`),
		}));
	return (
		<>
			<Head title={t("shell.models")} note={number(items.length)} />
			<div className="box mb-4 overflow-x-auto">
				<table className="w-full sm:min-w-[860px]">
					<thead>
						<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
							<th className="h-8 px-3 font-semibold">{t("models.name")}</th>
							<th className="px-3 font-semibold max-sm:hidden">{t("models.mode")}</th>
							<th className="px-3 font-semibold">{t("models.accounts")}</th>
							<th className="px-3 font-semibold max-sm:hidden">{t("models.left")}</th>
							<th className="px-3 text-right font-semibold">{t("models.requests")}</th>
							<th className="px-3 text-right font-semibold max-sm:hidden">{t("models.first_token")}</th>
							<th className="px-3 font-semibold max-lg:hidden">{t("models.can")}</th>
							<th className="px-3 font-semibold max-sm:hidden">{t("models.state")}</th>
							<th className="w-28 px-3">
								<span className="sr-only">{t("shell.more")}</span>
							</th>
						</tr>
					</thead>
					<tbody>
						{items.map((model) => (
							<tr key={model.name} className="h-9 border-b border-line last:border-0 hover:bg-bg">
								<td className="max-w-72 px-3">
									<span className={`flex flex-wrap items-center gap-1 ${model.enabled ? "" : "max-sm:line-through"}`}>
										<span className="min-w-0 font-mono text-xs break-all">{model.name}</span>
										{model.kind !== "pattern" && (
											<span className="max-sm:hidden">
												<Copy text={model.name} />
											</span>
										)}
										{model.alias_of && <span className="text-ink-3">→ {model.alias_of}</span>}
									</span>
								</td>
								<td className="px-3 max-sm:hidden">{model.mode}</td>
								<td className="px-3 tabular-nums">
									{model.ready_accounts == null ? (
										<span title={t("models.mode_unknown")}>–</span>
									) : (
										<Link href="/accounts?state=available">{number(model.ready_accounts)}</Link>
									)}
								</td>
								<td className="w-40 px-3 tabular-nums max-sm:hidden">
									<Quota model={model} />
								</td>
								<td className="px-3 text-right tabular-nums">
									<Link
										href={`/requests?model=${encodeURIComponent(model.name)}`}
										title={percent(model.succeeded_24h, model.requests_24h)}
									>
										{number(model.requests_24h)}
									</Link>
								</td>
								<td className="px-3 text-right tabular-nums max-sm:hidden">{firstToken(model.first_token_p50_ms)}</td>
								<td className="px-3 text-xs whitespace-nowrap text-ink-2 max-lg:hidden">{abilities(model)}</td>
								<td className="px-3 max-sm:hidden">
									<Pill tone={model.enabled ? "ok" : "idle"} icon={model.enabled ? "available" : "disabled"}>
										{t(model.enabled ? "models.on" : "models.off")}
									</Pill>
								</td>
								<td className="px-3 text-right whitespace-nowrap">
									{model.kind === "listed" && (
										<button type="button" className="btn" disabled={change.isPending} onClick={() => turn(model)}>
											{t(model.enabled ? "accounts.disable" : "accounts.enable")}
											<span className="sr-only"> {model.name}</span>
										</button>
									)}
									{model.kind !== "listed" && (
										<button type="button" className="btn" disabled={change.isPending} onClick={() => forget(model)}>
											{t("models.forget")}
											<span className="sr-only"> {model.name}</span>
										</button>
									)}
								</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
			<div className="grid gap-4 lg:grid-cols-2">
				<NewAlias name={alias} onName={setAlias} models={items} change={change} />
				<section className="box h-fit p-4" aria-label={t("models.passed")}>
					<h2 className="mb-1 font-semibold">{t("models.passed")}</h2>
					<p className="mb-3 text-xs text-ink-2">{t("models.passed_hint")}</p>
					{others.length === 0 && <p className="text-ink-3">{t("models.passed_none")}</p>}
					<ul className="divide-y divide-line">
						{others.map((other) => (
							<li key={other.name} className="flex flex-wrap items-center gap-2 py-1.5">
								<span className="max-w-full min-w-0 truncate font-mono text-xs" title={other.name}>
									{other.name}
								</span>
								<Link className="text-xs" href={`/requests?model=${encodeURIComponent(other.name)}`}>
									{t("models.of_requests", { ok: other.succeeded_24h, n: other.requests_24h })}
								</Link>
								<button type="button" className="btn ml-auto" onClick={() => setAlias(other.name)}>
									{t("models.make_alias")}
									<span className="sr-only"> {other.name}</span>
								</button>
							</li>
						))}
					</ul>
				</section>
			</div>
		</>
	);
}

function Quota({ model }: { model: Model }) {
	const { quota_remaining: left, quota_total: total } = model;
	if (left == null || total == null) return <span className="text-ink-3">{t("accounts.unknown")}</span>;
	const share = total ? left / total : 0;
	return (
		<>
			<span className="text-xs">{`${number(left)} / ${number(total)}`}</span>
			<Bar share={share} tone={share < 0.2 ? "warn" : "accent"} label={`${model.name} ${left}/${total}`} />
		</>
	);
}

function abilities(model: Model): string {
	const thinking = model.reasoning == null ? t("models.thinks_itself") : model.reasoning ? t("models.thinks") : "";
	const context = model.context_length && t("models.context", { n: `≈${number(Math.round(model.context_length / 1_000))}K` });
	const tier =
		model.minimum_tier && model.minimum_tier !== "free" && tCode(`accounts.tier_${model.minimum_tier}`, model.minimum_tier);
	return [thinking, context, tier].filter(Boolean).join(" · ");
}

/** A field for the name of a model: nothing that a browser or a dictionary knows better. */
const NAME_FIELD = { className: "input font-mono text-xs", required: true, spellCheck: false, autoComplete: "off" };

/** A further name for a model, for clients that cannot be told another. */
function NewAlias({
	name,
	onName,
	models,
	change,
}: {
	name: string;
	onName: (name: string) => void;
	models: Model[];
	change: ReturnType<typeof useChange>;
}) {
	const [model, setModel] = useState("grok-4.2");
	const add = (event: React.FormEvent) => {
		event.preventDefault();
		const wanted = name.trim();
		change.mutate(
			({ model_aliases: aliases }) => ({
				model_aliases: [
					...aliases.filter((one) => one.split("=")[0]?.toLowerCase() !== wanted.toLowerCase()),
					`${wanted}=${model.trim()}`,
				],
			}),
			{ onSuccess: () => onName("") },
		);
	};
	return (
		<form className="box h-fit p-4" onSubmit={add} aria-label={t("models.new_alias")}>
			<h2 className="mb-1 font-semibold">{t("models.new_alias")}</h2>
			<p className="mb-3 text-xs text-ink-2">{t("models.alias_hint")}</p>
			<Field label={t("models.alias_name")}>
				{(props) => (
					<input {...props} {...NAME_FIELD} placeholder="gpt-4o" value={name} onChange={(event) => onName(event.target.value)} />
				)}
			</Field>
			<Field label={t("models.alias_of")}>
				{(props) => (
					<>
						<input
							{...props}
							{...NAME_FIELD}
							list="listed-models"
							value={model}
							onChange={(event) => setModel(event.target.value)}
						/>
						<datalist id="listed-models">
							{models
								.filter((one) => one.kind === "listed")
								.map((one) => (
									<option key={one.name} value={one.name} />
								))}
						</datalist>
					</>
				)}
			</Field>
			<button type="submit" className="btn btn-primary" disabled={change.isPending}>
				{t("models.add_alias")}
			</button>
		</form>
	);
}

// What was changed in the settings, by whom, and the way back.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../../api/client";
import { t } from "../../i18n";
import { Pill } from "../../ui/Pill";
import { Failed, Skeleton } from "../../ui/parts";
import { Ago } from "../../ui/Time";
import { toast, toastError } from "../../ui/toasts";

type Change = { name: string; before: unknown; after: unknown };
type Item = { id: string; at: string; actor: string; changes: Change[] };

export function History({ onReverted }: { onReverted: () => void }) {
	const queries = useQueryClient();
	const history = useQuery({
		queryKey: ["settings", "history"],
		queryFn: () => api.get("/admin/api/v1/settings/history") as Promise<unknown> as Promise<{ items: Item[] }>,
	});
	const revert = useMutation({
		mutationFn: (id: string) => api.post("/admin/api/v1/settings/history/{id}/actions/revert", { params: { path: { id } } }),
		onSuccess: async () => {
			toast(t("settings.reverted"));
			await queries.invalidateQueries({ queryKey: ["settings"] });
			onReverted();
		},
		onError: toastError,
	});
	if (history.isPending) return <Skeleton />;
	if (history.isError) return <Failed error={history.error} retry={() => history.refetch()} />;
	const text = (value: unknown) =>
		value === null || value === undefined || value === ""
			? t("settings.empty")
			: typeof value === "string"
				? value
				: JSON.stringify(value);
	return (
		<ol>
			{history.data.items.map((item, index) => (
				<li key={item.id} className="box mb-3 px-4 py-3">
					<div className="mb-1 flex items-center gap-2">
						<strong>{item.actor === "start" ? t("settings.at_start") : item.actor}</strong>
						<span className="text-ink-3">
							<Ago at={item.at} />
						</span>
						<span className="ml-auto">
							{index === 0 ? (
								<Pill tone="info">{t("settings.present")}</Pill>
							) : (
								<button type="button" className="btn h-7" disabled={revert.isPending} onClick={() => revert.mutate(item.id)}>
									{t("settings.revert")}
								</button>
							)}
						</span>
					</div>
					<ul className="text-xs">
						{item.changes.map((change) => (
							<li key={change.name} className="break-all">
								<span className="id">{change.name}</span>: {text(change.before)} → {text(change.after)}
							</li>
						))}
					</ul>
				</li>
			))}
		</ol>
	);
}

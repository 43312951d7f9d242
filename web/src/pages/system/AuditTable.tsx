// Who changed what, newest first.
import { useQuery as useData } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client";
import { t, tCode } from "../../i18n";
import { Empty, Failed, Skeleton } from "../../ui/parts";
import { Ago } from "../../ui/Time";

/** What was changed: a line that opens. */
export function Change({ of: { before, after } }: { of: { before?: unknown; after?: unknown } }) {
	const text = (value: unknown) => (value === null || value === undefined ? "" : JSON.stringify(value));
	return (
		<details className="font-mono text-xs break-all text-ink-2">
			<summary className="truncate">{text(after).slice(0, 60) || text(before).slice(0, 60) || "–"}</summary>
			{text(before)} → {text(after)}
		</details>
	);
}

export function AuditTable() {
	const [before, setBefore] = useState<string[]>([]);
	const trail = useData({
		queryKey: ["audit", before.at(-1) ?? ""],
		queryFn: () =>
			api.get("/admin/api/v1/audit", {
				params: { query: { limit: 50, ...(before.length ? { before: before.at(-1) } : {}) } },
			}),
	});
	if (trail.isPending) return <Skeleton />;
	if (trail.isError) return <Failed error={trail.error} retry={() => trail.refetch()} />;
	if (!trail.data.items.length) return <Empty title={t("system.no_changes")} />;
	return (
		<>
			<div className="box mb-3 overflow-x-auto">
				<table className="w-full min-w-[720px]">
					<thead>
						<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
							<th className="h-8 px-3 font-semibold">{t("requests.time")}</th>
							<th className="px-3 font-semibold">{t("system.who")}</th>
							<th className="px-3 font-semibold">{t("system.what")}</th>
							<th className="px-3 font-semibold">{t("system.subject")}</th>
							<th className="px-3 font-semibold">{t("system.change")}</th>
						</tr>
					</thead>
					<tbody>
						{trail.data.items.map((entry) => (
							<tr key={entry.id} className="border-b border-line align-top last:border-0">
								<td className="px-3 py-1.5 whitespace-nowrap">
									<Ago at={entry.at} />
								</td>
								<td className="px-3 py-1.5 whitespace-nowrap">
									{entry.actor} <span className="text-ink-3">{entry.address}</span>
								</td>
								<td className="px-3 py-1.5" title={entry.action}>
									{tCode(`system.did_${entry.action}`, entry.action)}
								</td>
								<td className="id max-w-40 truncate px-3 py-1.5" title={entry.subject ?? ""}>
									{entry.subject}
								</td>
								<td className="max-w-md px-3 py-1.5">
									<Change of={entry} />
								</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
			<div className="flex gap-2">
				{before.length > 0 && (
					<button type="button" className="btn" data-repeat onClick={() => setBefore(before.slice(0, -1))}>
						{t("system.newer")}
					</button>
				)}
				{trail.data.next && (
					<button type="button" className="btn" data-repeat onClick={() => setBefore([...before, trail.data.next as string])}>
						{t("system.older")}
					</button>
				)}
			</div>
		</>
	);
}

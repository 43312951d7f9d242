// Deleted accounts, which can be had back for a week.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client";
import { number, t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Empty, Failed, Skeleton } from "../../ui/parts";
import { Ago } from "../../ui/Time";
import { toast, toastError } from "../../ui/toasts";
import { Fingerprint } from "./state";

const WINDOW = 50;

export function Bin({ onClose, onRestored }: { onClose: () => void; onRestored: () => void }) {
	const [offset, setOffset] = useState(0);
	const bin = useQuery({
		queryKey: ["accounts", "bin", offset],
		queryFn: () => api.get("/admin/api/v1/accounts/bin", { params: { query: { limit: WINDOW, offset } } }),
		staleTime: 0,
	});
	const restore = async (id: string) => {
		try {
			await api.post("/admin/api/v1/accounts/{id}/actions/restore", { params: { path: { id } } });
			toast(t("accounts.restored"));
			onRestored();
			await bin.refetch();
		} catch (error) {
			toastError(error);
		}
	};
	return (
		<Panel title={t("accounts.bin")} onClose={onClose}>
			{bin.isPending && <Skeleton rows={4} />}
			{bin.isError && <Failed error={bin.error} retry={() => bin.refetch()} />}
			{bin.data?.items.length === 0 && <Empty title={t("accounts.bin_empty")} hint={t("accounts.bin_hint")} />}
			{bin.data && bin.data.items.length > 0 && (
				<>
					<p className="mb-2 text-xs text-ink-2">
						{number(bin.data.total)} · {t("accounts.bin_hint")}
					</p>
					<ul className="divide-y divide-line">
						{bin.data.items.map((account) => (
							<li key={account.id} className="flex items-center gap-2 py-1.5">
								<span className="min-w-0 truncate" title={account.label}>
									{account.label}
								</span>
								<Fingerprint account={account} />
								<span className="ml-auto text-xs whitespace-nowrap text-ink-2">
									<Ago at={account.deleted_at} />
								</span>
								<button type="button" className="btn" onClick={() => void restore(account.id)}>
									{t("accounts.restore")}
									<span className="sr-only"> {account.label}</span>
								</button>
							</li>
						))}
					</ul>
				</>
			)}
			<div className="mt-3 flex gap-2">
				{offset > 0 && (
					<button type="button" className="btn" data-repeat onClick={() => setOffset(offset - WINDOW)}>
						{t("system.newer")}
					</button>
				)}
				{bin.data && offset + WINDOW < bin.data.total && (
					<button type="button" className="btn" data-repeat onClick={() => setOffset(offset + WINDOW)}>
						{t("system.older")}
					</button>
				)}
			</div>
		</Panel>
	);
}

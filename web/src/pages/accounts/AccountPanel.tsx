// One account beside the list.
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { api } from "../../api/client";
import { t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Failed, Skeleton } from "../../ui/parts";
import { AccountFacts, QuotaTable, StateExplained } from "./parts";

export function useAccount(id: string) {
	return useQuery({
		queryKey: ["account", id],
		queryFn: () => api.get("/admin/api/v1/accounts/{id}", { params: { path: { id } } }),
	});
}

export function AccountPanel({ id, onClose }: { id: string; onClose: () => void }) {
	const account = useAccount(id);
	return (
		<Panel
			title={account.data?.label ?? t("shell.loading")}
			onClose={onClose}
			footer={
				<Link href={`/accounts/${id}`} className="btn no-underline">
					{t("accounts.open_page")}
				</Link>
			}
		>
			{account.isPending && <Skeleton rows={6} />}
			{account.isError && <Failed error={account.error} retry={() => account.refetch()} />}
			{account.data && (
				<div className="flex flex-col gap-4">
					<StateExplained account={account.data} />
					<QuotaTable account={account.data} />
					<AccountFacts account={account.data} />
				</div>
			)}
		</Panel>
	);
}

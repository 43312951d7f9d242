// The page of one account.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { watch } from "../../api/events";
import { t } from "../../i18n";
import { Failed, Field, Head, Skeleton, Tabs } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { toast } from "../../ui/toasts";
import { ConversationTable, useConversations } from "../conversations/ConversationTable";
import { RequestTable } from "../requests/RequestTable";
import { AccountHistory } from "./AccountHistory";
import { useAccount } from "./AccountPanel";
import { checkQuota, patchAccount, replaceToken } from "./actions";
import { DeletePanel } from "./DeletePanel";
import { AccountFacts, CheckQuota, QuotaTable, StateExplained } from "./parts";
import { type Account as AccountView, Fingerprint, StatePill } from "./state";

type Tab = "quota" | "requests" | "conversations" | "history" | "settings";

export default function Account() {
	const { id } = useParams<{ id: string }>();
	const account = useAccount(id);
	const [query, setQuery] = useQuery();
	const [, navigate] = useLocation();
	const [deleting, setDeleting] = useState(false);
	const tab = (query.get("tab") as Tab) ?? "quota";
	useEffect(() => {
		watch([`account:${id}`]);
		return () => watch([]);
	}, [id]);
	if (account.isPending) return <Skeleton />;
	if (account.isError) return <Failed error={account.error} retry={() => account.refetch()} />;
	return (
		<>
			<nav aria-label={t("shell.breadcrumb")} className="mb-1 text-xs">
				<Link href="/accounts">{t("shell.accounts")}</Link> / <Fingerprint account={account.data} />
			</nav>
			<Head title={account.data.label} note={<StatePill account={account.data} />}>
				<CheckQuota id={id} />
				<Link href={`/playground?account=${id}`} className="btn no-underline">
					{t("accounts.try")}
				</Link>
				<button
					type="button"
					className="btn"
					onClick={() => void patchAccount(id, { enabled: !account.data.enabled }).then(() => account.refetch())}
				>
					{account.data.enabled ? t("accounts.disable") : t("accounts.enable")}
				</button>
				<button type="button" className="btn btn-danger" onClick={() => setDeleting(true)}>
					{t("accounts.delete")}
				</button>
			</Head>
			<Tabs<Tab>
				label={account.data.label}
				tabs={[
					["quota", t("accounts.tab_quota")],
					["requests", t("shell.requests")],
					["conversations", t("shell.conversations")],
					["history", t("accounts.tab_history")],
					["settings", t("shell.settings")],
				]}
				value={tab}
				onChange={(next) => setQuery({ tab: next === "quota" ? null : next }, "replace")}
			/>
			{tab === "quota" && (
				<div className="grid gap-4 lg:grid-cols-[minmax(0,1fr)_360px]">
					<div className="flex min-w-0 flex-col gap-4">
						<div className="box p-4">
							<StateExplained account={account.data} />
						</div>
						<div className="box p-4">
							<QuotaTable account={account.data} />
						</div>
					</div>
					<div className="box p-4">
						<AccountFacts account={account.data} />
					</div>
				</div>
			)}
			{tab === "requests" && <RequestTable filter={{ account: id }} />}
			{tab === "conversations" && <Conversations id={id} />}
			{tab === "history" && <AccountHistory id={id} createdAt={account.data.created_at} />}
			{tab === "settings" && (
				<div className="flex flex-col gap-4">
					<Settings account={account.data} />
					<NewToken id={id} />
				</div>
			)}
			{deleting && <DeletePanel scope={{ ids: [id] }} onClose={() => setDeleting(false)} onDone={() => navigate("/accounts")} />}
		</>
	);
}

function Conversations({ id }: { id: string }) {
	return <ConversationTable list={useConversations({ account: id })} />;
}

/** Another token for the same account, when the old one has expired. */
function NewToken({ id }: { id: string }) {
	const queries = useQueryClient();
	const [token, setToken] = useState("");
	const [isBusy, setBusy] = useState(false);
	const replace = async (event: React.FormEvent) => {
		event.preventDefault();
		setBusy(true);
		if (await replaceToken(id, token)) {
			setToken("");
			const account = await checkQuota(id);
			if (account) queries.setQueryData(["account", id], account);
		}
		setBusy(false);
	};
	return (
		<form className="box max-w-xl p-4" onSubmit={replace}>
			<Field label={t("accounts.new_token")} hint={t("accounts.new_token_hint")}>
				{(props) => (
					<input
						{...props}
						className="input font-mono"
						type="password"
						autoComplete="off"
						required
						value={token}
						onChange={(event) => setToken(event.target.value)}
					/>
				)}
			</Field>
			<button type="submit" className="btn" disabled={isBusy}>
				{t("accounts.replace_token")}
			</button>
		</form>
	);
}

function Settings({ account }: { account: AccountView }) {
	const queries = useQueryClient();
	// What was seen when it was begun: another may change it meanwhile.
	const [version, setVersion] = useState(account.version);
	const [label, setLabel] = useState(account.label);
	const [tags, setTags] = useState(account.tags.join(", "));
	const [tier, setTier] = useState(account.tier_source === "owner" ? (account.tier ?? "") : "");
	const save = async (event: React.FormEvent) => {
		event.preventDefault();
		const changed = await patchAccount(
			account.id,
			{
				label,
				tags: tags
					.split(/[,，]/)
					.map((tag) => tag.trim())
					.filter(Boolean),
				tier: tier || null,
			},
			version,
		);
		if (!changed) return;
		toast(t("accounts.saved"));
		setVersion(changed.version);
		queries.setQueryData(["account", account.id], changed);
	};
	return (
		<form className="box max-w-xl p-4" onSubmit={save}>
			<Field label={t("accounts.label")}>
				{(props) => (
					<input
						{...props}
						className="input"
						required
						maxLength={120}
						value={label}
						onChange={(event) => setLabel(event.target.value)}
					/>
				)}
			</Field>
			<Field label={t("accounts.tags")} hint={t("accounts.tags_hint")}>
				{(props) => <input {...props} className="input" value={tags} onChange={(event) => setTags(event.target.value)} />}
			</Field>
			<Field label={t("accounts.tier")} hint={t("accounts.tier_hint")}>
				{(props) => (
					<select {...props} className="input w-40" value={tier} onChange={(event) => setTier(event.target.value)}>
						<option value="">{t("accounts.tier_auto")}</option>
						<option value="basic">basic</option>
						<option value="super">super</option>
						<option value="heavy">heavy</option>
					</select>
				)}
			</Field>
			<button type="submit" className="btn btn-primary">
				{t("shell.save")}
			</button>
		</form>
	);
}

// Whatever destroys is counted first: how many, what else is touched; from a hundred on the number has to be typed.
import { useMutation, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Schema } from "../../api/client";
import { t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Failed, Field, Skeleton } from "../../ui/parts";
import { toastError } from "../../ui/toasts";
import { type Scope, startJob } from "../accounts/actions";

const MANY = 100;

export function CountedDelete({
	kind,
	scope,
	options,
	title,
	confirm,
	onStarted,
	onClose,
	choice,
	children,
}: {
	kind: string;
	scope: Scope;
	options: Record<string, unknown>;
	title: string;
	/** The words of the button that does it. */
	confirm: (total: number) => string;
	onStarted: (job: Schema["JobView"]) => void;
	onClose: () => void;
	/** What is to be chosen before it is counted. */
	choice?: ReactNode;
	/** What it would hit, and further choices. */
	children: (counted: Schema["DryRun"]) => ReactNode;
}) {
	const [typed, setTyped] = useState("");
	const counted = useQuery({
		queryKey: ["dry-run", kind, JSON.stringify(scope), JSON.stringify(options)],
		queryFn: () =>
			api.post("/admin/api/v1/jobs", {
				body: { kind, scope, options, dry_run: true } as never,
			}) as Promise<unknown> as Promise<Schema["DryRun"]>,
		gcTime: 0,
		staleTime: Number.POSITIVE_INFINITY,
	});
	const run = useMutation({
		mutationFn: () => startJob(kind, undefined, options, { confirm_token: counted.data?.confirm_token }),
		onSuccess: (job) => {
			onStarted(job);
			onClose();
		},
		onError: toastError,
	});
	const total = counted.data?.total ?? 0;
	const isSure = total < MANY || typed.trim() === String(total);
	return (
		<Panel
			title={title}
			onClose={onClose}
			centred
			footer={
				<>
					<button type="button" className="btn" data-first onClick={onClose}>
						{t("shell.cancel")}
					</button>
					<button
						type="button"
						className="btn btn-danger"
						disabled={!total || !isSure || run.isPending}
						onClick={() => run.mutate()}
					>
						{confirm(total)}
					</button>
				</>
			}
		>
			{choice}
			{counted.isPending && <Skeleton rows={3} />}
			{counted.isError && <Failed error={counted.error} retry={() => counted.refetch()} />}
			{counted.data && children(counted.data)}
			{total >= MANY && (
				<Field label={t("accounts.type_count", { n: total })}>
					{(props) => (
						<input
							{...props}
							className="input w-32"
							inputMode="numeric"
							value={typed}
							onChange={(event) => setTyped(event.target.value)}
						/>
					)}
				</Field>
			)}
		</Panel>
	);
}

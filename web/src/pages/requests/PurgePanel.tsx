// Emptying the request log, up to a time.
import { useMemo, useState } from "react";
import { useLocation } from "wouter";
import { serverNow } from "../../api/client";
import { t } from "../../i18n";
import { Field } from "../../ui/parts";
import { toast } from "../../ui/toasts";
import { CountedDelete } from "../jobs/CountedDelete";

const DAYS = [0, 1, 7, 30];

export function PurgePanel({ onClose }: { onClose: () => void }) {
	const [, navigate] = useLocation();
	const [days, setDays] = useState(7);
	// Once: it must be the same when it is counted and when it is done.
	const now = useMemo(() => serverNow(), []);
	const before = new Date(now - days * 86_400_000).toISOString();
	return (
		<CountedDelete
			kind="requests.purge"
			scope={{ filter: days ? { before } : {} }}
			options={{}}
			title={t("requests.purge")}
			confirm={(n) => t("requests.purge_n", { n })}
			onStarted={(job) => toast(t("jobs.started"), { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) })}
			onClose={onClose}
			choice={
				<Field label={t("requests.older_than")}>
					{(props) => (
						<select {...props} className="input w-40" value={days} onChange={(event) => setDays(Number(event.target.value))}>
							{DAYS.map((one) => (
								<option key={one} value={one}>
									{one ? t("shell.days", { n: one }) : t("requests.purge_all")}
								</option>
							))}
						</select>
					)}
				</Field>
			}
		>
			{({ total }) => <p className="mb-3">{t("requests.purge_consequence", { n: total })}</p>}
		</CountedDelete>
	);
}

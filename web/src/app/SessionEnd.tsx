// The session has ended: sign in again over the page, which keeps what was typed into it.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { reconnect } from "../api/events";
import { t } from "../i18n";
import { Panel } from "../ui/Panel";
import { Field } from "../ui/parts";

export function SessionEnd({ onBack }: { onBack: () => void }) {
	const queries = useQueryClient();
	const [problem, setProblem] = useState("");
	const back = async () => {
		onBack();
		reconnect();
		await queries.invalidateQueries();
	};
	// Somebody may sign in again in another tab.
	useEffect(() => {
		const timer = setInterval(async () => {
			const session = await fetch("/admin/api/v1/session").catch(() => undefined);
			if (session?.ok) await back();
		}, 3_000);
		return () => clearInterval(timer);
	}, []);
	const signIn = async (event: React.FormEvent<HTMLFormElement>) => {
		event.preventDefault();
		const form = new FormData(event.currentTarget);
		const response = await fetch("/admin/api/v1/session", {
			method: "POST",
			headers: { "Content-Type": "application/json", "X-Requested-With": "console" },
			body: JSON.stringify({ username: form.get("username"), password: form.get("password"), remember: false }),
		}).catch(() => undefined);
		if (!response?.ok) return setProblem(response?.status === 401 ? t("door.wrong") : t("door.failed"));
		await back();
	};
	return (
		<Panel title={t("shell.session_over")} onClose={onBack} centred fixed>
			<form onSubmit={signIn}>
				<p className="mb-3 text-ink-2">{t("shell.session_over_hint")}</p>
				<Field label={t("door.username")}>
					{(props) => <input {...props} name="username" className="input" autoComplete="username" required autoFocus />}
				</Field>
				<Field label={t("door.password")} error={problem || undefined}>
					{(props) => (
						<input {...props} name="password" type="password" className="input" autoComplete="current-password" required />
					)}
				</Field>
				<button type="submit" className="btn btn-primary w-full">
					{t("door.sign_in")}
				</button>
			</form>
		</Panel>
	);
}

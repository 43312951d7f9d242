// New secrets, shown once.
import { useState } from "react";
import { useLocation } from "wouter";
import { t } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Panel } from "../../ui/Panel";
import { fresh } from "./fresh";
import type { NewKey } from "./Keys";

export function Secrets({ keys, onClose }: { keys: NewKey[]; onClose: () => void }) {
	const [, navigate] = useLocation();
	const [taken, setTaken] = useState(false);
	const all = keys.map((key) => key.key).join("\n");
	const download = () => {
		const rows = ["name,key", ...keys.map((key) => `"${key.name.replaceAll('"', '""')}",${key.key}`)];
		const link = document.createElement("a");
		link.href = URL.createObjectURL(new Blob([rows.join("\r\n")], { type: "text/csv" }));
		link.download = "api-keys.csv";
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
		setTaken(true);
	};
	const [asked, setAsked] = useState(false);
	return (
		<Panel
			centred
			wide
			title={t("keys.once_title")}
			onClose={onClose}
			mayClose={() => {
				if (taken || asked) return true;
				setAsked(true);
				return false;
			}}
			footer={
				<>
					{keys.length === 1 && (
						<button
							type="button"
							className="btn"
							onClick={() => {
								fresh.key = keys[0]?.key ?? "";
								navigate("/connect");
							}}
						>
							{t("keys.to_connect")}
						</button>
					)}
					<button type="button" className="btn" onClick={download}>
						{t("keys.csv")}
					</button>
					<span onClickCapture={() => setTaken(true)}>
						<Copy text={all}>{keys.length > 1 ? t("keys.copy_all") : t("shell.copy")}</Copy>
					</span>
				</>
			}
		>
			<p className="mb-3">{t("keys.once")}</p>
			{asked && !taken && (
				<p role="alert" className="mb-3 text-warn">
					{t("keys.not_copied")}
				</p>
			)}
			<ul className="max-h-80 overflow-auto">
				{keys.map((key) => (
					<li key={key.id} className="flex items-center gap-2 border-t border-line py-1.5 first:border-0">
						<span className="w-32 truncate text-ink-2">{key.name}</span>
						<code className="min-w-0 flex-1 font-mono text-xs break-all">{key.key}</code>
						<span onClickCapture={() => setTaken(true)}>
							<Copy text={key.key} />
						</span>
					</li>
				))}
			</ul>
		</Panel>
	);
}

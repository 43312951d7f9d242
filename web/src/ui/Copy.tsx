// Copies what is shown, also on plain http, where the clipboard's own interface is not there.
import { type ReactNode, useState } from "react";
import { t } from "../i18n";
import { Icon } from "./icons";

export async function copyText(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const area = document.createElement("textarea");
		area.value = text;
		area.setAttribute("readonly", "");
		area.className = "fixed top-0 left-0 size-px opacity-0";
		// Inside an open dialog, because what lies behind it cannot be focused.
		const dialogs = document.querySelectorAll("dialog[open]");
		(dialogs[dialogs.length - 1] ?? document.body).append(area);
		area.select();
		const copied = document.execCommand("copy");
		area.remove();
		return copied;
	}
}

export function Copy({ text, label, children }: { text: string; label?: string; children?: ReactNode }) {
	const [done, setDone] = useState(false);
	const copy = async () => {
		if (await copyText(text)) {
			setDone(true);
			setTimeout(() => setDone(false), 1_200);
		}
	};
	const name = done ? t("shell.copied") : (label ?? t("shell.copy"));
	return (
		<button
			type="button"
			className={children ? "btn" : "btn-icon size-6"}
			aria-label={children ? undefined : name}
			title={name}
			onClick={copy}
		>
			<Icon name={done ? "check" : "copy"} className={done ? "text-ok" : ""} />
			{children && <span aria-live="polite">{done ? t("shell.copied") : children}</span>}
		</button>
	);
}

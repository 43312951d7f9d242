// What has just happened, bottom left: at most two at once, errors until they are closed.
import { useSyncExternalStore } from "react";
import { ApiError } from "../api/client";
import { t, tCode } from "../i18n";
import { Copy } from "./Copy";
import { Icon } from "./icons";

type Toast = {
	id: number;
	text: string;
	isError: boolean;
	requestId?: string | null;
	action?: { label: string; run: () => void };
};

let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(changed: Toast[]) {
	toasts = changed;
	for (const listener of listeners) listener();
}

export function toast(text: string, action?: Toast["action"]) {
	const id = next++;
	set([...toasts, { id, text, isError: false, action }].slice(-2));
	setTimeout(() => close(id), 8_000);
}

/** Tells of a failure in the reader's words, with the id under which the log has it. */
export function toastError(error: unknown) {
	const requestId = error instanceof ApiError ? error.requestId : undefined;
	set([...toasts, { id: next++, text: sentenceOf(error), isError: true, requestId }].slice(-2));
}

export function sentenceOf(error: unknown): string {
	if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
	if (error.fields.length) return error.fields.map(fieldSentence).join("; ");
	return tCode(`error.${error.code}`, error.message);
}

/** What is wrong with a field, in the reader's language where its kind is known. */
function fieldSentence({ path, code, message }: ApiError["fields"][number]): string {
	const name = path.replace(/^\//, "");
	return tCode(
		`error.field_${name.replace(/\/\d+$/, "")}_${code}`,
		tCode(`error.field_${code}`, `${name} ${message}`, { name }),
		{ name },
	);
}

function close(id: number) {
	set(toasts.filter((toast) => toast.id !== id));
}

export function Toasts() {
	const shown = useSyncExternalStore(
		(listener) => {
			listeners.add(listener);
			return () => listeners.delete(listener);
		},
		() => toasts,
	);
	return (
		<div
			role="status"
			className="pointer-events-none fixed bottom-16 left-3 z-20 flex max-w-[calc(100vw-24px)] flex-col gap-2 sm:bottom-4 sm:left-4"
		>
			{shown.map((one) => (
				<div
					key={one.id}
					className={`pointer-events-auto flex items-center gap-3 rounded-block border bg-surface py-2 pr-2 pl-3 ${one.isError ? "border-bad" : "border-line"}`}
				>
					{one.isError && <Icon name="warning" className="text-bad" />}
					<span className="max-w-[420px]">{one.text}</span>
					{one.requestId && <Copy text={one.requestId} label={t("shell.copy_request_id")} />}
					{one.action && (
						<button
							type="button"
							className="btn btn-plain font-semibold text-accent"
							onClick={() => {
								one.action?.run();
								close(one.id);
							}}
						>
							{one.action.label}
						</button>
					)}
					<button type="button" className="btn-icon size-6" aria-label={t("shell.close")} onClick={() => close(one.id)}>
						<Icon name="close" />
					</button>
				</div>
			))}
		</div>
	);
}

// A new key, several at once, or what an existing one may do.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api } from "../../api/client";
import { t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Field } from "../../ui/parts";
import { sentenceOf, toast } from "../../ui/toasts";
import type { Key, NewKey } from "./Keys";

const DAY = 86_400_000;

export function KeyForm({
	edited,
	onClose,
	onCreated,
}: {
	edited?: Key;
	onClose: () => void;
	onCreated: (keys: NewKey[]) => void;
}) {
	const queries = useQueryClient();
	// What was seen when it was opened: another may change it meanwhile.
	const [version] = useState(edited?.version);
	const [form, setForm] = useState({
		name: edited?.name ?? "",
		count: "1",
		expires: edited?.expires_at ? "keep" : "never",
		date: "",
		requests_per_minute: text(edited?.requests_per_minute),
		requests_per_day: text(edited?.requests_per_day),
		concurrent_requests: text(edited?.concurrent_requests),
		models: edited?.models?.join(", ") ?? "",
		reasoning: edited?.reasoning ?? "",
	});
	const set = (change: Partial<typeof form>) => setForm({ ...form, ...change });
	const save = useMutation({
		mutationFn: async () => {
			const body: Record<string, unknown> = {
				name: form.name.trim(),
				requests_per_minute: count(form.requests_per_minute),
				requests_per_day: count(form.requests_per_day),
				concurrent_requests: count(form.concurrent_requests),
				models: form.models.trim() ? form.models.split(/[,，\s]+/).filter(Boolean) : null,
				reasoning: form.reasoning || null,
			};
			if (form.expires === "never") body.expires_at = null;
			else if (form.expires === "date") body.expires_at = new Date(form.date).toISOString();
			else if (form.expires !== "keep") body.expires_at = new Date(Date.now() + Number(form.expires) * DAY).toISOString();
			if (edited) {
				const headers = { "If-Match": `"${version}"` };
				await api.patch("/admin/api/v1/keys/{id}", { params: { path: { id: edited.id } }, headers, body: body as never });
				return null;
			}
			return (await api.post("/admin/api/v1/keys", {
				body: { ...body, count: Number(form.count) || 1 } as never,
			})) as unknown as { keys: NewKey[] };
		},
		onSuccess: async (made) => {
			await queries.invalidateQueries({ queryKey: ["keys"] });
			if (made) onCreated(made.keys);
			else {
				toast(t("keys.saved"));
				onClose();
			}
		},
	});
	const errors =
		save.error instanceof ApiError
			? Object.fromEntries(save.error.fields.map((field) => [field.path.replace("/", ""), field.message]))
			: {};
	const numeric = (name: "requests_per_minute" | "requests_per_day" | "concurrent_requests", label: string) => (
		<Field label={label} hint={t("keys.empty_unlimited")} error={errors[name]}>
			{(props) => (
				<input
					{...props}
					className="input"
					inputMode="numeric"
					pattern="\d*"
					value={form[name]}
					onChange={(event) => set({ [name]: event.target.value })}
				/>
			)}
		</Field>
	);
	return (
		<Panel
			title={edited ? edited.name : t("keys.create")}
			onClose={onClose}
			footer={
				<>
					<button type="button" className="btn" onClick={onClose}>
						{t("shell.cancel")}
					</button>
					<button type="submit" form="key-form" className="btn btn-primary" disabled={save.isPending}>
						{edited ? t("shell.save") : t("keys.create")}
					</button>
				</>
			}
		>
			<form
				id="key-form"
				onSubmit={(event) => {
					event.preventDefault();
					save.mutate();
				}}
			>
				<Field label={t("keys.name")} hint={edited ? undefined : t("keys.name_hint", { n: "{n}" })} error={errors.name}>
					{(props) => (
						<input
							{...props}
							className="input"
							required
							maxLength={100}
							autoFocus
							value={form.name}
							onChange={(event) => set({ name: event.target.value })}
						/>
					)}
				</Field>
				{!edited && (
					<Field label={t("keys.count")} error={errors.count}>
						{(props) => (
							<input
								{...props}
								className="input w-28"
								type="number"
								min={1}
								max={500}
								value={form.count}
								onChange={(event) => set({ count: event.target.value })}
							/>
						)}
					</Field>
				)}
				<Field label={t("keys.expires")} error={errors.expires_at}>
					{(props) => (
						<span className="flex gap-2">
							<select
								{...props}
								className="input w-44"
								value={form.expires}
								onChange={(event) => set({ expires: event.target.value })}
							>
								{edited?.expires_at && <option value="keep">{t("keys.expires_keep")}</option>}
								<option value="never">{t("keys.never")}</option>
								<option value="30">{t("keys.days", { n: 30 })}</option>
								<option value="90">{t("keys.days", { n: 90 })}</option>
								<option value="date">{t("keys.date")}</option>
							</select>
							{form.expires === "date" && (
								<input
									type="datetime-local"
									className="input"
									aria-label={t("keys.date")}
									required
									value={form.date}
									onChange={(event) => set({ date: event.target.value })}
								/>
							)}
						</span>
					)}
				</Field>
				<div className="grid grid-cols-3 gap-x-3 max-sm:grid-cols-1">
					{numeric("requests_per_minute", t("keys.rpm"))}
					{numeric("requests_per_day", t("keys.rpd"))}
					{numeric("concurrent_requests", t("keys.concurrent"))}
				</div>
				<Field label={t("keys.models")} hint={t("keys.models_hint")} error={errors.models}>
					{(props) => (
						<input {...props} className="input" value={form.models} onChange={(event) => set({ models: event.target.value })} />
					)}
				</Field>
				<Field label={t("keys.reasoning")} error={errors.reasoning}>
					{(props) => (
						<select
							{...props}
							className="input"
							value={form.reasoning}
							onChange={(event) => set({ reasoning: event.target.value })}
						>
							<option value="">{t("keys.reasoning_inherit")}</option>
							<option value="think_tags">{t("keys.reasoning_think_tags")}</option>
							<option value="reasoning_content">{t("keys.reasoning_reasoning_content")}</option>
							<option value="hidden">{t("keys.reasoning_hidden")}</option>
						</select>
					)}
				</Field>
				{save.isError && !Object.keys(errors).length && <p className="text-bad">{sentenceOf(save.error)}</p>}
			</form>
		</Panel>
	);
}

const text = (value: number | null | undefined) => (value == null ? "" : String(value));
const count = (value: string) => (value.trim() ? Number(value) : null);

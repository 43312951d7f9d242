// Tags for many accounts.
import { useState } from "react";
import { t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Field } from "../../ui/parts";

const list = (text: string) =>
	text
		.split(/[,，]/)
		.map((tag) => tag.trim())
		.filter(Boolean);

export function TagPanel({
	onClose,
	onDone,
}: {
	onClose: () => void;
	onDone: (options: { add: string[]; remove: string[] }) => void;
}) {
	const [add, setAdd] = useState("");
	const [remove, setRemove] = useState("");
	const isReady = list(add).length + list(remove).length > 0;
	return (
		<Panel
			title={t("accounts.tag")}
			onClose={onClose}
			centred
			footer={
				<>
					<button type="button" className="btn" onClick={onClose}>
						{t("shell.cancel")}
					</button>
					<button
						type="button"
						className="btn btn-primary"
						disabled={!isReady}
						onClick={() => onDone({ add: list(add), remove: list(remove) })}
					>
						{t("accounts.tag")}
					</button>
				</>
			}
		>
			<Field label={t("accounts.tags_add")} hint={t("accounts.tags_hint")}>
				{(props) => <input {...props} className="input" value={add} onChange={(event) => setAdd(event.target.value)} autoFocus />}
			</Field>
			<Field label={t("accounts.tags_remove")}>
				{(props) => <input {...props} className="input" value={remove} onChange={(event) => setRemove(event.target.value)} />}
			</Field>
		</Panel>
	);
}

// The keys that work here.
import { t } from "../i18n";
import { Panel } from "../ui/Panel";
import { places } from "./nav";

export function Help({ onClose }: { onClose: () => void }) {
	const rows: [string, string][] = [
		["Ctrl K", t("shell.jump")],
		["/", t("shell.key_search")],
		["J K ↓ ↑", t("shell.key_rows")],
		["Space", t("shell.key_panel")],
		["Enter", t("shell.key_open")],
		["X", t("shell.key_select")],
		["Esc", t("shell.key_close")],
		["\\", t("shell.key_sidebar")],
		...places.map((place): [string, string] => [`g ${place.key}`, t(place.name)]),
	];
	return (
		<Panel title={t("shell.keys_title")} onClose={onClose} centred>
			<dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
				{rows.map(([keys, words]) => (
					<div key={keys} className="contents">
						<dt>
							<kbd className="rounded-pill border border-line bg-sunken px-1.5 font-mono text-xs">{keys}</kbd>
						</dt>
						<dd>{words}</dd>
					</div>
				))}
			</dl>
		</Panel>
	);
}

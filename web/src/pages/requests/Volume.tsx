// Requests over time, 48 pixels high: success, failed (hatched) and cancelled; dragging chooses a range.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client";
import { number, t } from "../../i18n";
import { absolute } from "../../ui/Time";

type Histogram = { buckets: string[]; succeeded: number[]; failed: number[]; cancelled: number[]; step_s?: number };

export function Volume({
	filter,
	time,
	onRange,
}: {
	filter: Record<string, string>;
	time: Record<string, string>;
	onRange: (from: string, until: string) => void;
}) {
	const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
	const histogram = useQuery({
		queryKey: ["requests", "histogram", JSON.stringify(filter), JSON.stringify(time)],
		queryFn: () =>
			api.get("/admin/api/v1/requests/histogram", {
				params: { query: { ...filter, ...time, tz: zone } },
			}) as Promise<unknown> as Promise<Histogram>,
		placeholderData: keepPreviousData,
		refetchInterval: () => (document.hidden ? false : 15_000),
	});
	const [drag, setDrag] = useState<[number, number] | null>(null);
	const data = histogram.data;
	if (!data) return <div className="mb-3 h-12" />;
	const sums = data.buckets.map(
		(_, index) => (data.succeeded[index] ?? 0) + (data.failed[index] ?? 0) + (data.cancelled[index] ?? 0),
	);
	const top = Math.max(1, ...sums);
	const count = data.buckets.length;
	const at = (event: React.PointerEvent<HTMLElement>) => {
		const box = event.currentTarget.getBoundingClientRect();
		return Math.max(0, Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count)));
	};
	const total = sums.reduce((sum, one) => sum + one, 0);
	const failed = data.failed.reduce((sum, one) => sum + one, 0);
	return (
		<figure
			className="mb-3 flex h-12 cursor-crosshair touch-pan-y items-end gap-px select-none"
			aria-label={t("requests.volume", { total, failed })}
			onPointerDown={(event) => setDrag([at(event), at(event)])}
			onPointerMove={(event) => drag && setDrag([drag[0], at(event)])}
			onPointerUp={() => {
				if (drag && drag[0] !== drag[1]) {
					const [low, high] = [Math.min(...drag), Math.max(...drag)];
					const until = data.buckets[high + 1];
					if (data.buckets[low]) onRange(data.buckets[low], until ?? new Date().toISOString());
				}
				setDrag(null);
			}}
		>
			{data.buckets.map((bucket, index) => {
				const inside = drag && index >= Math.min(...drag) && index <= Math.max(...drag);
				const part = (value: number | undefined) => ({ height: `${((value ?? 0) / top) * 100}%` });
				return (
					<div
						key={bucket}
						className={`flex h-full min-w-0 flex-1 flex-col justify-end ${inside ? "bg-accent-soft" : ""}`}
						title={`${absolute(bucket)} · ${number(sums[index] ?? 0)}`}
					>
						<div className="bg-chart-off" style={part(data.cancelled[index])} />
						<div className="hatch-bad" style={part(data.failed[index])} />
						<div className="bg-chart-ok" style={part(data.succeeded[index])} />
						{!sums[index] && <div className="h-px bg-line" />}
					</div>
				);
			})}
		</figure>
	);
}

// Compresses what was built, once, so that the gateway serves it as it lies there.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, gzipSync } from "node:zlib";

function* files(directory) {
	for (const name of readdirSync(directory)) {
		const path = join(directory, name);
		if (statSync(path).isDirectory()) yield* files(path);
		else yield path;
	}
}

for (const path of files("dist")) {
	if (/\.(js|css|svg|json)$/.test(path)) {
		const compressed = gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION });
		writeFileSync(`${path}.gz`, compressed);
	}
}

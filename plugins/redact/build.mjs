// node build.mjs OUT: wraps plugin.js into a component. componentize-js is found from the working directory.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = new URL('.', import.meta.url);
const tool = `${process.cwd()}/node_modules/@bytecodealliance/componentize-js/src/componentize.js`;
const { componentize } = await import(pathToFileURL(tool));
const { component } = await componentize({
  sourcePath: fileURLToPath(new URL('plugin.js', here)),
  witPath: fileURLToPath(new URL('../../wit/0.1.0', here)),
  worldName: 'transform-plugin',
});
await writeFile(process.argv[2], component);

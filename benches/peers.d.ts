// Types are checked whether or not the peers are installed: here they are `any`.

declare module "@automerge/automerge";
declare module "@automerge/automerge-repo";
declare module "@automerge/automerge-repo-network-websocket";
declare module "diamond-types-node";
declare module "json-joy/lib/json-crdt/index.js";
declare module "json-joy/lib/json-crdt-patch/index.js";
declare module "loro-crdt";
declare module "ywasm";
declare module "y-websocket";
declare module "yjs";

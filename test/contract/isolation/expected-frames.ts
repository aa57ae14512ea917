/** The same table as in expected.ts for frames: written by hand, and never derived from the code. */
import { parseRows, type Row } from './expected.ts';

/**
 * Outcomes of frames: 200 for a reply, else the status that the code of the error frame has over
 * HTTP. `-`: such a caller gets no socket (see connections.open above).
 */
const FRAMES = `
frame            target       lac twi out mem mod adm own bea tok tic
ping             own            - 200 200 200 200 200 200 200 200 200
subscribe        own            - 200 200 200 200 200 200 200 200 200
unsubscribe      own            - 200 200 200 200 200 200 200 200 200
send_message     own          403 404 404 200 200 200 200 200 200 200
send_message     foreign      403 200 404 404 404 404 404 404 404 404
send_message     missing      403 404 404 404 404 404 404 404 404 404
ack              own          403 404 404 200 200 200 200 200 200 200
ack              foreign      403 200 404 404 404 404 404 404 404 404
ack              missing      403 404 404 404 404 404 404 404 404 404
read             own          403 404 404 200 200 200 200 200 200 200
read             foreign      403 200 404 404 404 404 404 404 404 404
read             missing      403 404 404 404 404 404 404 404 404 404
resume           own            - 200 200 200 200 200 200 200 200 200
rooms.list       own            - 200 200 200 200 200 200 200 200 200
rooms.get        own            - 404 404 200 200 200 200 200 200 200
rooms.get        foreign        - 200 404 404 404 404 404 404 404 404
rooms.get        missing        - 404 404 404 404 404 404 404 404 404
typing.start     own            - 404 404 200 200 200 200 200 200 200
typing.start     foreign        - 200 404 404 404 404 404 404 404 404
typing.start     missing        - 404 404 404 404 404 404 404 404 404
typing.stop      own            - 404 404 200 200 200 200 200 200 200
typing.stop      foreign        - 200 404 404 404 404 404 404 404 404
typing.stop      missing        - 404 404 404 404 404 404 404 404 404
presence.query   own            - 200 200 200 200 200 200 200 200 200
presence.subscribe own            - 200 200 200 200 200 200 200 200 200
presence.unsubscribe own            - 200 200 200 200 200 200 200 200 200
members.list     own            - 404 404 200 200 200 200 200 200 200
members.list     foreign        - 200 404 404 404 404 404 404 404 404
members.list     missing        - 404 404 404 404 404 404 404 404 404
messages.list    own          403 404 404 200 200 200 200 200 200 200
messages.list    foreign      403 200 404 404 404 404 404 404 404 404
messages.list    missing      403 404 404 404 404 404 404 404 404 404
notifications.list own        403 200 200 200 200 200 200 200 200 200
subscriptions.list own        403 200 200 200 200 200 200 200 200 200
`;

/** The same for backend sockets: what is a user's is 400 to them, as over HTTP. */
const BACKEND_FRAMES = `
frame            target       ten evt
ping             own          200 200
resume           own          200 200
subscribe        own          400 403
unsubscribe      own          400 403
send_message     own          200 403
send_message     foreign      404 403
send_message     missing      404 403
ack              own          400 403
ack              foreign      400 403
ack              missing      400 403
read             own          400 403
read             foreign      400 403
read             missing      400 403
rooms.list       own          400 403
rooms.get        own          200 403
rooms.get        foreign      404 403
rooms.get        missing      404 403
typing.start     own          400 403
typing.start     foreign      400 403
typing.start     missing      400 403
typing.stop      own          400 403
typing.stop      foreign      400 403
typing.stop      missing      400 403
presence.query own 400 403
presence.subscribe own 400 403
presence.unsubscribe own 400 403
members.list     own          200 403
members.list     foreign      404 403
members.list     missing      404 403
messages.list    own          200 403
messages.list    foreign      404 403
messages.list    missing      404 403
notifications.list own        400 403
subscriptions.list own        400 403
`;

export const FRAME_ROWS: readonly Row[] = parseRows(FRAMES);
export const BACKEND_FRAME_ROWS: readonly Row[] = parseRows(BACKEND_FRAMES);

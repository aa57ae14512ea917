import type { Face } from '../../http/face.ts';
import { addMembers, listMembers, removeMember, updateMember } from './schema.ts';
import type { Members } from './service.ts';

export function routeMembers(face: Face, members: Members): void {
	face.get('/rooms/:room_id/members', listMembers, members.list);
	face.post('/rooms/:room_id/members', addMembers, members.add, {
		statuses: [201, 200],
		of: ({ added }) => (added === 0 ? 200 : 201),
	});
	face.put('/rooms/:room_id/members/:user_id', updateMember, members.update);
	face.delete('/rooms/:room_id/members/:user_id', removeMember, members.remove);
}

--include record.lua
-- May I send attempt n now? ARGV[1] is C(n), ARGV[7] the length of the lease.

if foreign then
    return { CONFLICT, now, unreadable }
end
if rank >= my_rank + 2 or (rank == my_rank and deferral > my_deferral) then
    return { SKIP, now, unreadable }
end
if rank == my_rank + 1 then
    return { RESUME, now, unreadable, follows }
end
local left = busy_for()
if left > 0 then
    return { BUSY, now, unreadable, left }
end
write_leased(my_deferral, my_token, now + ARGV[7], ARGV[7])
return { GRANT, now, unreadable }

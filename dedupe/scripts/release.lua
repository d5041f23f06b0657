--include record.lua
-- Nothing was sent: ends the own lease, so that the next owner need not wait for its end. A token is never used twice, so it says enough.

if token == my_token then
    write_settled(rank, deferral, 0, 0)
end
return { OK, now, unreadable }

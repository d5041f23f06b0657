-- Stands in front of the scripts that say `--include record.lua`: what they were asked, what is stored, and the two ways to write.
--
-- dedupe/record.c knows the same bytes. Lua's numbers are doubles, exact up to 2^53: ranks (epoch * 1000 + at most 999) and times in ms fit.
-- Digest, token and place stay byte strings that are only compared and copied.

local GRANT, SKIP, RESUME, BUSY, CONFLICT, OK, FOREIGN = 1, 2, 3, 4, 5, 6, 7 -- enum claims_result
local NOWHERE = '\255\255\255\255\255\255\255\255\255\255\255\255'

local key = KEYS[1]
local my_rank, my_deferral = tonumber(ARGV[1]), tonumber(ARGV[2])
local my_token, my_digest, my_place, ttl = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local my_outcome = tonumber(ARGV[8]) -- of the last attempt that ended

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- No record, or one of rank 0 (a place and no more), suppresses nothing. Neither does one that cannot be read (another program version's, or a
-- key of another type): forgetting a rank can only repeat attempts, never lose one, whereas an error would be repeated for ever.
local rank, deferral, follows, digest, place, due, outcome = 0, 0, 0, nil, NOWHERE, 0, 0
local token, lease_end, lease_ms
local unreadable = 0
local stored = redis.pcall('GET', key)
if type(stored) == 'string' then
    local version, leased = string.byte(stored, 1, 2)
    if version == 1 and ((leased == 0 and #stored == 43) or (leased == 1 and #stored == 63)) then
        rank, deferral, follows, digest, place = struct.unpack('<I8I4Bc8c12', stored, 3)
        if leased == 1 then
            token, lease_end, outcome, lease_ms = struct.unpack('<c16I6I2I4', stored, 36)
        else
            due, outcome = struct.unpack('<I6I2', stored, 36)
        end
    else
        unreadable = 1
    end
elseif stored then
    unreadable = 1
end

-- Another event under the same id, in this replay epoch or a later one.
local foreign = rank > 0 and digest ~= my_digest and math.floor(rank / 1000) >= math.floor(my_rank / 1000)

local function known_place()
    return my_place == NOWHERE and place or my_place
end

local function write_settled(new_rank, new_deferral, new_follows, new_due)
    redis.call('SET', key,
        struct.pack('<BBI8I4Bc8c12I6I2', 1, 0, new_rank, new_deferral, new_follows, my_digest, known_place(), new_due, my_outcome), 'PX', ttl)
end

local function write_leased(new_deferral, owner, new_end, length)
    redis.call('SET', key,
        struct.pack('<BBI8I4Bc8c12c16I6I2I4', 1, 1, my_rank, new_deferral, 0, my_digest, known_place(), owner, new_end, my_outcome, length), 'PX', ttl)
end

-- How long somebody else's lease on this very attempt still runs, 0 when it does not. Never more than its length: where Redis's clock was set
-- back, the end that is stored moves with it, or the lease would last until the clock is there again.
local function busy_for()
    if rank ~= my_rank or not token or token == my_token or lease_end <= now then
        return 0
    end
    if lease_end - now > lease_ms then
        write_leased(deferral, token, now + lease_ms, lease_ms)
        return lease_ms
    end
    return lease_end - now
end

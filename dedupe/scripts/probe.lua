-- Does Redis run scripts and take writes again? Asked after it failed to, on a key next to that of the script that failed.

local clock = redis.call('TIME')
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], struct.pack('<I8', clock[1]), 'PX', 1)
return { 0 }

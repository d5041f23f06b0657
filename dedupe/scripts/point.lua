-- Where a task's event lies (dedupe/pointers.h), unless something is known of the task already: ARGV[1] is the record, ARGV[2] how long it is kept.

return { redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0 }

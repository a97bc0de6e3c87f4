-- The sample that `make run` serves: taxi rides that never were, in twelve
-- files. The same bytes on every machine: no chance, one thread.

SET threads = 1;

COPY (
    SELECT id, began, city, km,
           round(3 + km * 1.9 + hash(id, 3) % 200 / 100, 2) AS fare,
           year(began) AS year, month(began) AS month
    FROM (
        SELECT i AS id,
               TIMESTAMP '2024-01-01'
                   + to_seconds((i * 79 + hash(i) % 3600)::BIGINT) AS began,
               ['Berlin', 'Lagos', 'Lima', 'Osaka', 'Tunis']
                   [1 + (hash(i, 1) % 5)::BIGINT] AS city,
               round(0.4 + pow(hash(i, 2) % 1000 / 1000, 3) * 30, 2) AS km
        FROM range(400000) AS rides(i)
    )
)
TO 'sample'
(FORMAT parquet, PARTITION_BY (year, month), ROW_GROUP_SIZE 20000);

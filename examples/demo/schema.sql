CREATE TABLE products (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE prices (product integer PRIMARY KEY, price integer NOT NULL);
CREATE TABLE orders (id serial PRIMARY KEY, product integer NOT NULL, price integer NOT NULL);
INSERT INTO products SELECT n, 'product ' || n FROM generate_series(1, 10) AS n;
INSERT INTO prices SELECT n, 100 * n FROM generate_series(1, 10) AS n;

-- Usage, limits and money of several fronts. Version 1.
-- stoker.reserve is the twin of Limits.reserve in gateway/limits.py.

create schema stoker;

create table stoker.version (number integer not null);
insert into stoker.version values (1);

create table stoker.usage (
    reservation text primary key, request_id text not null, ended double precision not null,
    tenant text not null, key_id text not null, model text not null, backend text not null,
    input_tokens bigint not null, cached_tokens bigint not null, output_tokens bigint not null,
    cost bigint not null, outcome text not null
);
create index usage_ended on stoker.usage (ended);

create table stoker.hourly (
    hour bigint not null, tenant text not null, key_id text not null, model text not null,
    backend text not null, requests bigint not null, failed bigint not null,
    input_tokens bigint not null, cached_tokens bigint not null, output_tokens bigint not null,
    cost bigint not null, primary key (hour, tenant, key_id, model, backend)
);

-- The row that every change to a tenant's limits locks first.
create table stoker.account (
    tenant text primary key, latest double precision not null default 0,
    running bigint not null default 0
);

create table stoker.minute (
    tenant text not null, second bigint not null, requests bigint not null, tokens bigint not null,
    primary key (tenant, second)
);

create table stoker.spending (
    tenant text not null, "window" text not null, spent bigint not null default 0,
    reserved bigint not null default 0, primary key (tenant, "window")
);

create table stoker.reservation (
    id text primary key, tenant text not null, second bigint not null, "window" text not null,
    tokens bigint not null, output bigint not null, worst bigint not null,
    expires double precision not null, record text not null
);
create index reservation_expires on stoker.reservation (tenant, expires);


-- Records a request that has ended, once.
create function stoker.record(
    of_reservation text, of_request text, at double precision, of_tenant text, of_key text,
    of_model text, of_backend text, input bigint, cached bigint, output bigint, money bigint,
    how text, badly bigint
) returns void language plpgsql as $$
begin
    insert into stoker.usage values (of_reservation, of_request, at, of_tenant, of_key, of_model,
        of_backend, input, cached, output, money, how) on conflict do nothing;
    if found then
        insert into stoker.hourly as sums values (floor(at / 3600), of_tenant, of_key, of_model,
            of_backend, 1, badly, input, cached, output, money)
        on conflict (hour, tenant, key_id, model, backend) do update set
            requests = sums.requests + 1, failed = sums.failed + excluded.failed,
            input_tokens = sums.input_tokens + excluded.input_tokens,
            cached_tokens = sums.cached_tokens + excluded.cached_tokens,
            output_tokens = sums.output_tokens + excluded.output_tokens,
            cost = sums.cost + excluded.cost;
    end if;
end $$;


-- Settles what nobody settled in time, at its worst. The account is locked already.
create function stoker.expire(of_tenant text, now double precision)
returns table (record text, output bigint, worst bigint) language plpgsql as $$
declare
    gone stoker.reservation;
begin
    for gone in delete from stoker.reservation where tenant = of_tenant and expires <= now
                returning *
    loop
        update stoker.account set running = running - 1 where tenant = of_tenant;
        update stoker.spending s set reserved = s.reserved - gone.worst, spent = s.spent + gone.worst
            where s.tenant = of_tenant and s."window" = gone."window";
        record := gone.record;
        output := gone.output;
        worst := gone.worst;
        return next;
    end loop;
end $$;


-- The seconds until `over` fewer are counted in the last minute.
create function stoker.seconds_until(
    of_tenant text, now double precision, over bigint, counts_tokens boolean
) returns double precision language sql as $$
    select coalesce(min(second) + 61 - now, 0) from (
        select second, sum(case when counts_tokens then tokens else requests end)
            over (order by second) as gone
        from stoker.minute where tenant = of_tenant
    ) as slots where gone >= over
$$;


-- The output, at most `wanted`, that money pays for; -1 when not even the prompt is paid for.
create function stoker.tokens_for(money bigint, price bigint, wanted bigint)
returns bigint language sql immutable as $$
    select case when money < 0 then -1 when price = 0 then wanted
        else least(wanted, money / price) end
$$;


create function stoker.reserve(
    name text, of_tenant text, of_window text, wall double precision, seconds double precision,
    concurrency bigint, most_requests bigint, most_tokens bigint, budget bigint,
    input bigint, wanted bigint, least_output bigint, prompt_cost bigint, output_price bigint,
    of_record text, counts bigint,
    out refusal text, out output bigint, out retry_after double precision, out expired text
) language plpgsql as $$
declare
    account stoker.account;
    now double precision;
    total_requests bigint;
    total_tokens bigint;
    money stoker.spending;
    left_over bigint;
    later bigint;
    needed bigint;
    worst_cost bigint;
begin
    refusal := '';
    output := 0;
    retry_after := 0;
    insert into stoker.account (tenant) values (of_tenant) on conflict do nothing;
    select * into account from stoker.account a where a.tenant = of_tenant for update;
    now := greatest(account.latest, wall);
    select json_agg(json_build_array(e.record, e.output, e.worst))::text into expired
        from stoker.expire(of_tenant, now) as e;
    select r.output into output from stoker.reservation r where r.id = name;
    if found then
        return;
    end if;
    output := 0;
    select * into account from stoker.account a where a.tenant = of_tenant;
    delete from stoker.minute m where m.tenant = of_tenant and m.second < floor(now) - 60;
    select coalesce(sum(m.requests), 0), coalesce(sum(m.tokens), 0)
        into total_requests, total_tokens from stoker.minute m where m.tenant = of_tenant;

    if concurrency > 0 and account.running >= concurrency then
        refusal := 'concurrency';
        retry_after := 1;
        return;
    end if;
    if most_requests > 0 and total_requests + counts > most_requests then
        refusal := 'requests';
        retry_after := stoker.seconds_until(of_tenant, now, total_requests + counts - most_requests,
            false);
        return;
    end if;
    output := wanted;
    if budget > 0 then
        select * into money from stoker.spending s
            where s.tenant = of_tenant and s."window" = of_window;
        left_over := budget - coalesce(money.spent, 0) - prompt_cost;
        later := stoker.tokens_for(left_over, output_price, wanted);
        output := stoker.tokens_for(left_over - coalesce(money.reserved, 0), output_price, wanted);
        if later < least(wanted, 1) then
            refusal := 'budget';
        elsif output < later and output < least(wanted, least_output) then
            refusal := 'held';
            retry_after := 1;
        end if;
    end if;
    if refusal = '' and most_tokens > 0 then
        needed := input + least(output, least_output);
        if needed > most_tokens then
            refusal := 'too_long';
            retry_after := 60;
        elsif most_tokens - total_tokens < needed then
            refusal := 'tokens';
            retry_after := stoker.seconds_until(of_tenant, now,
                total_tokens + needed - most_tokens, true);
        else
            output := least(output, most_tokens - total_tokens - input);
        end if;
    end if;
    if refusal <> '' then
        output := 0;
        return;
    end if;

    worst_cost := prompt_cost + output * output_price;
    update stoker.account set latest = now, running = running + 1 where tenant = of_tenant;
    insert into stoker.minute as m values (of_tenant, floor(now), counts, input + output)
        on conflict (tenant, second) do update set requests = m.requests + counts,
            tokens = m.tokens + excluded.tokens;
    insert into stoker.spending as s values (of_tenant, of_window, 0, worst_cost)
        on conflict (tenant, "window") do update set reserved = s.reserved + excluded.reserved;
    insert into stoker.reservation values (name, of_tenant, floor(now), of_window, input + output,
        output, worst_cost, now + seconds, of_record);
end $$;


-- Puts what a request used in the place of what was reserved for it. False: it is not open.
create function stoker.settle(name text, of_tenant text, used_tokens bigint, money bigint)
returns boolean language plpgsql as $$
declare
    gone stoker.reservation;
begin
    perform 1 from stoker.account a where a.tenant = of_tenant for update;
    delete from stoker.reservation r where r.id = name returning * into gone;
    if gone.id is null then
        return false;
    end if;
    update stoker.account set running = running - 1 where tenant = of_tenant;
    update stoker.minute set tokens = tokens + used_tokens - gone.tokens
        where tenant = of_tenant and second = gone.second;
    update stoker.spending s set reserved = s.reserved - gone.worst, spent = s.spent + money
        where s.tenant = of_tenant and s."window" = gone."window";
    return true;
end $$;

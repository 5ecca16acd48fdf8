from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0003_private_collections'),
    ]

    operations = [
        migrations.AddField(
            model_name='listening',
            name='request_id',
            field=models.CharField(blank=True, default='', help_text='The request that asked for it, as it is logged', max_length=64),
        ),
    ]
